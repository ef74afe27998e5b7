// A static Go program with many goroutines: the scheduler's futexes and signals, channels, timers, the network poller and the collector.
package main

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func pipeline() uint64 {
	numbers, squares := make(chan uint64), make(chan uint64, 16)
	var workers sync.WaitGroup
	for i := 0; i < 64; i++ {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for n := range numbers {
				squares <- n * n
			}
		}()
	}
	go func() {
		for n := uint64(1); n <= 20000; n++ {
			numbers <- n
		}
		close(numbers)
		workers.Wait()
		close(squares)
	}()
	var sum uint64
	for s := range squares {
		sum += s
	}
	return sum
}

func contention() int64 {
	var counter int64
	var mutex sync.Mutex
	var group sync.WaitGroup
	for i := 0; i < 200; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for j := 0; j < 500; j++ {
				mutex.Lock()
				counter++
				mutex.Unlock()
				if j%100 == 0 {
					runtime.Gosched()
				}
			}
		}()
	}
	group.Wait()
	return atomic.LoadInt64(&counter)
}

func garbage() int {
	kept := map[int][]byte{}
	for i := 0; i < 20000; i++ {
		kept[i%100] = make([]byte, 4096)
	}
	runtime.GC()
	return len(kept)
}

func pipes() string {
	reader, writer, err := os.Pipe()
	if err != nil {
		return err.Error()
	}
	hash := make(chan string)
	go func() {
		digest := sha256.New()
		io.Copy(digest, bufio.NewReader(reader))
		hash <- fmt.Sprintf("%x", digest.Sum(nil)[:8])
	}()
	for i := 0; i < 4096; i++ {
		fmt.Fprintf(writer, "line %d of the pipe\n", i)
	}
	writer.Close()
	return <-hash
}

func main() {
	fmt.Println("pipeline", pipeline())
	fmt.Println("contention", contention())
	fmt.Println("garbage", garbage())
	fmt.Println("pipes", pipes())

	// Preemption of a loop that calls nothing, by a signal.
	var stop int32
	done := make(chan int)
	go func() {
		for atomic.LoadInt32(&stop) == 0 {
		}
		done <- 1
	}()
	timer := time.AfterFunc(20*time.Millisecond, func() { atomic.StoreInt32(&stop, 1) })
	<-done
	timer.Stop()
	fmt.Println("preempted")

	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	syscall.Kill(syscall.Getpid(), syscall.SIGUSR1)
	fmt.Println("signal", <-signals)

	output, err := exec.Command("/bin/sh", "-c", "echo from a child; exit 3").CombinedOutput()
	fmt.Println("child", strings.TrimSpace(string(output)), err)

	entries, err := os.ReadDir("/etc")
	names := []string{}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), "pass") || strings.HasPrefix(entry.Name(), "host") {
			names = append(names, entry.Name())
		}
	}
	sort.Strings(names)
	fmt.Println("names", names, err)
	_, err = os.Open("/no/such/file")
	fmt.Println("missing", err)
	os.Exit(7)
}
