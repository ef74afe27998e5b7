import SupervisorOCI
import Testing

@Suite struct JSONTests {
    @Test(arguments: [
        "null", "true", "[]", "{}", "[1,-2.5e3,\"a\"]", "{\"a\":{\"b\":[null,false]}}", "18446744073709551615",
        "\"\\\"\\\\\\n\\u0001\"",
    ])
    func roundTrip(text: String) throws {
        #expect(try JSON(parsing: Array(text.utf8)).text() == text)
    }

    @Test func escapes() throws {
        #expect(try JSON(parsing: Array(#""\u00e9\ud83d\ude00\ud800x\/""#.utf8)) == .string("é😀\u{FFFD}x/"))
    }

    @Test(arguments: [
        ("", 1, 1), ("{", 1, 2), ("{\n  \"a\": }", 2, 8), ("[1,]", 1, 4), ("{\"a\" 1}", 1, 6), ("01", 1, 1), ("tru", 1, 4), ("1 2", 1, 3),
        ("\"a\nb\"", 1, 3), ("{\"a\":1,}", 1, 8), ("\"abc", 1, 1), ("-", 1, 2), ("\"\\x\"", 1, 3),
    ])
    func position(text: String, line: Int, column: Int) {
        let error = #expect(throws: JSONSyntaxError.self) { try JSON(parsing: Array(text.utf8)) }
        #expect(error?.line == line)
        #expect(error?.column == column)
    }

    @Test func depthIsBounded() {
        let deep = String(repeating: "[", count: 100_000)
        #expect(throws: JSONSyntaxError.self) { try JSON(parsing: Array(deep.utf8)) }
    }

    @Test func indentedForm() throws {
        let value = try JSON(parsing: Array(#"{"a":[1,2],"b":{},"c":[]}"#.utf8))
        #expect(value.text(indented: true) == "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": {},\n  \"c\": []\n}")
    }

    @Test func lastOfRepeatedKeysCounts() throws {
        #expect(try JSON(parsing: Array(#"{"a":1,"a":2}"#.utf8))["a"] == .integer(2))
    }
}
