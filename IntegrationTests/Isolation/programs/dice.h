// A small generator with a seed (splitmix64), so that a case can be repeated.
#ifndef DICE_H
#define DICE_H

#include <stdint.h>

struct dice {
    uint64_t state;
};

static inline uint64_t roll(struct dice *d) {
    uint64_t z = d->state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static inline uint64_t below(struct dice *d, uint64_t bound) { return roll(d) % bound; }
static inline int chance(struct dice *d, uint64_t of) { return below(d, of) == 0; }
#define PICK(d, ...) ((const uint64_t[]){__VA_ARGS__}[below(d, sizeof((uint64_t[]){__VA_ARGS__}) / 8)])

// The dice of case `number`.
static inline struct dice dice_of(uint64_t seed, uint64_t number) {
    struct dice d = {seed * 0xd1342543de82ef95 + number};
    d.state = roll(&d) ^ number;
    return d;
}

#endif
