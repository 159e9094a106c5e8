import LibPQ
import Testing

@Suite("Statements and their results", .timeLimit(.minutes(10)))
struct StatementTests {
    @Test("Values of each kind come back as they were sent", arguments: [true, false])
    func values(usesPipelines: Bool) async throws {
        try await Fixture.withDatabase(.with { $0.usesPipelines = usesPipelines }) { client, _ in
            let result = try await client.query(
                "SELECT $1::int8, $2::text, $3::bytea, $4::bool, $5::bool",
                [.integer(.min), "café ☕ 'quoted' \\", .bytes([0, 1, 0, 255]), true, false])
            let row = try #require(result.first)
            #expect(try row.integer(0) == .min)
            #expect(try row.text(1) == "café ☕ 'quoted' \\")
            #expect(try row.bytes(2) == [0, 1, 0, 255])
            #expect(try row.boolean(3) == true)
            #expect(try row.boolean(4) == false)
            #expect(result.rowCount == 1)
        }
    }

    @Test("NULL is nil, and empty values are not NULL")
    func nulls() async throws {
        try await Fixture.withDatabase { client, _ in
            let row = try #require(
                try await client.query(
                    "SELECT $1::int8, $2::text, $3::bytea, $4::bool, $5::text, $6::bytea",
                    [nil, nil, nil, nil, "", .bytes([UInt8]())]
                ).first)
            #expect(try row.integer(0) == nil)
            #expect(try row.text(1) == nil)
            #expect(try row.bytes(2) == nil)
            #expect(try row.boolean(3) == nil)
            #expect(try row.isNull(0))
            #expect(try row.text(4)?.isEmpty == true)
            #expect(try row.bytes(5)?.isEmpty == true)
            #expect(try !row.isNull(4))
        }
    }

    @Test("A mebibyte of bytes goes there and back", arguments: [true, false])
    func large(usesPipelines: Bool) async throws {
        try await Fixture.withDatabase(.with { $0.usesPipelines = usesPipelines }) { client, _ in
            let bytes = (0..<(1 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
            try await client.query("CREATE TABLE blobs (id int8 PRIMARY KEY, body bytea)")
            try await client.query("INSERT INTO blobs VALUES (1, $1)", [.bytes(bytes)])
            let row = try #require(try await client.query("SELECT body, length(body) FROM blobs").first)
            #expect(try row.bytes(0) == bytes)
            #expect(try row.integer(1) == 1 << 20)
        }
    }

    @Test("Integers of all widths, JSON, enums and names are read")
    func types() async throws {
        try await Fixture.withDatabase { client, _ in
            try await client.query("CREATE TYPE mood AS ENUM ('calm', 'busy')")
            let row = try #require(
                try await client.query(
                    """
                    SELECT (-7)::int2, 70000::int4, 4000000000::oid, '{"a": 1}'::jsonb, '[1]'::json, 'busy'::mood,
                           'x'::name, 'abc'::varchar, now()::text
                    """
                ).first)
            #expect(try row.integer(0) == -7)
            #expect(try row.integer(1) == 70000)
            #expect(try row.integer(2) == 4_000_000_000)
            #expect(try row.text(3) == #"{"a": 1}"#)
            #expect(try row.text(4) == "[1]")
            #expect(try row.text(5) == "busy")
            #expect(try row.text(6) == "x")
            #expect(try row.text(7) == "abc")
            #expect(try row.text(8)?.isEmpty == false)
        }
    }

    @Test("A value of another type, or of no column, is an error and not a guess")
    func mismatches() async throws {
        try await Fixture.withDatabase { client, _ in
            let row = try #require(try await client.query("SELECT 1::int8 AS number, now() AS moment").first)
            for read in [{ _ = try row.text(0) }, { _ = try row.text(1) }, { _ = try row.integer(1) }] {
                let error = await Fixture.error { try read() }
                guard case .unexpectedResult = error else {
                    Issue.record("\(String(describing: error))")
                    continue
                }
            }
            let error = await Fixture.error { try row.integer(2) }
            #expect(error == .unexpectedResult("There is no column 2 among 2."))
        }
    }

    @Test("A text is of whatever type the statement expects")
    func inferred() async throws {
        try await Fixture.withDatabase { client, _ in
            try await client.query("CREATE TABLE things (moment timestamptz, price numeric, ids int8[], small int4)")
            try await client.query(
                "INSERT INTO things VALUES ($1, $2, $3, $4)",
                ["2026-01-02 03:04:05+00", "12.50", "{1,2,3}", .integer(9)])
            let row = try #require(
                try await client.query("SELECT price::text, ids[2], small FROM things WHERE small = $1", [9]).first)
            #expect(try row.text(0) == "12.50")
            #expect(try row.integer(1) == 2)
            #expect(try row.integer(2) == 9)
        }
    }

    @Test("A result tells its command, how many rows it is about, and its columns", arguments: [true, false])
    func commands(usesPipelines: Bool) async throws {
        try await Fixture.withDatabase(.with { $0.usesPipelines = usesPipelines }) { client, _ in
            #expect(try await client.query("CREATE TABLE t (id int8)").command == "CREATE TABLE")
            let insertion = try await client.query("INSERT INTO t SELECT generate_series(1, 5)")
            #expect(insertion.command == "INSERT 0 5")
            #expect(insertion.affectedRows == 5)
            #expect(insertion.columns.isEmpty)
            let selection = try await client.query("SELECT id AS number, -id FROM t ORDER BY id")
            #expect(selection.columns.map(\.name) == ["number", "?column?"])
            #expect(try selection.rows.map { try $0.integer(0) } == [1, 2, 3, 4, 5])
            #expect(try selection.rows.map { try $0.integer(1) } == [-1, -2, -3, -4, -5])
            #expect(try await client.query("UPDATE t SET id = 0 WHERE id > 3").affectedRows == 2)
            #expect(try await client.query("SELECT id FROM t WHERE id > 99").rows.isEmpty)
            #expect(try await client.query("").command.isEmpty)
        }
    }

    @Test("An error has its five characters, and the constraint", arguments: [true, false])
    func errors(usesPipelines: Bool) async throws {
        try await Fixture.withDatabase(.with { $0.usesPipelines = usesPipelines }) { client, _ in
            try await client.query("CREATE TABLE t (id int8 CONSTRAINT only_one PRIMARY KEY)")
            try await client.query("INSERT INTO t VALUES (1)")
            let duplicate = await Fixture.error { try await client.query("INSERT INTO t VALUES ($1)", [1]) }
            guard case .server(let error) = duplicate else {
                Issue.record("\(String(describing: duplicate))")
                return
            }
            #expect(error.sqlState == "23505")
            #expect(error.constraint == "only_one")
            #expect(error.detail.contains("(id)=(1)"))
            #expect(!"\(error)".contains("(id)=(1)"))
            #expect(duplicate?.mayHaveHappened == false)
            #expect(await Fixture.error { try await client.query("SELECT * FROM missing") }?.sqlState == "42P01")
            #expect(await Fixture.error { try await client.query("SELEC") }?.sqlState == "42601")
            #expect(await Fixture.error { try await client.query("SELECT 1 / $1", [0]) }?.sqlState == "22012")
            #expect(await Fixture.error { try await client.query("SELECT 1; SELECT 2") }?.sqlState == "42601")
            #expect(try await client.integer("SELECT count(*) FROM t") == 1)
        }
    }

    @Test("What fails when it is committed, after its reply, has failed", arguments: [true, false])
    func deferred(usesPipelines: Bool) async throws {
        try await Fixture.withDatabase(.with { $0.usesPipelines = usesPipelines }) { client, _ in
            try await client.query("CREATE TABLE parents (id int8 PRIMARY KEY)")
            try await client.query(
                "CREATE TABLE children (parent int8 REFERENCES parents DEFERRABLE INITIALLY DEFERRED)")
            let error = await Fixture.error {
                try await client.query("INSERT INTO children VALUES (1) RETURNING parent")
            }
            #expect(error?.sqlState == "23503")
            #expect(try await client.integer("SELECT count(*) FROM children") == 0)
        }
    }

    @Test("Statements that no server could understand are not sent")
    func invalid() async throws {
        try await Fixture.withDatabase { client, _ in
            for error in [
                await Fixture.error { try await client.query("SELECT 1\0") },
                await Fixture.error { try await client.query("SELECT $1::text", ["a\0b"]) },
                await Fixture.error { try await client.query("SELECT 1", Array(repeating: .null, count: 65536)) },
            ] {
                guard case .invalidStatement = error else {
                    Issue.record("\(String(describing: error))")
                    continue
                }
                #expect(error?.mayHaveHappened == false)
            }
            let value = try await client.integer("SELECT 1")
            #expect(value == 1)
        }
    }

    @Test("Copying fails, and leaves the client usable", arguments: ["COPY t TO STDOUT", "COPY t FROM STDIN"])
    func copy(statement: String) async throws {
        try await Fixture.withDatabase { client, _ in
            try await client.query("CREATE TABLE t (id int8)")
            _ = await Fixture.error { try await client.query(statement) }
            #expect(try await client.integer("SELECT count(*) FROM t") == 0)
        }
    }
}
