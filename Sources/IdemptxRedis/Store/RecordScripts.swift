import Idemptx

/// What one native command of Redis cannot do, as scripts that run in one step inside the server.
///
/// Most of `RecordTransitions` is not transcribed: a rare transition is computed here from what ``read`` returned, and
/// ``swap`` writes it unless the record has changed since. Transcribed is what each operation needs: that an owner completes,
/// renews and releases.
///
/// Records have the layout of `RecordCodec` with time base 1, so that a renewal changes the expiry of the key and nothing
/// else. Lua counts from 1: byte 1 is the version, 2 the state (1 claimed), 3 the time base, 5-8 the attempt, 9-16 the span
/// from the end of the lease to the expiry, 17-24 first claimed, 41-56 the owner.
///
/// The first key is the record. An outcome of its own and the index of ``RecordNames/unsettled`` follow where there is
/// something to do with them.
///
/// Arguments of commands are texts: Lua would print a number for each call, as a fraction.
///
/// **When memory is full**, a server refuses the first writing command of a script if that command could use more. A
/// claim is refused then. What ends or renews an operation writes first what uses none, or does so once it is refused, so
/// that running operations can store their outcomes; the memory that they use is bounded by their number.
enum RecordScripts {
    /// Arguments: the last byte to read, or -1.
    ///
    /// Returns the time, the remaining lifetime, and the record, which is empty if there is none.
    static let read = RedisScript(
        """
        local record = redis.pcall('GETRANGE', KEYS[1], '0', ARGV[1])
        if type(record) == 'table' then return record end
        \(now)
        return {now, redis.call('PTTL', KEYS[1]), record}
        """)

    /// Claims a key that has no record, unless it is too late for that.
    ///
    /// Arguments: the record, its lifetime, the deadline of the claim or nothing, the lease if the
    /// claim is to be indexed.
    static let claim = RedisScript(
        """
        local record = redis.pcall('GET', KEYS[1])
        if type(record) == 'table' then return record end
        \(now)
        if record then return {'held', now, redis.call('PTTL', KEYS[1]), record} end
        if ARGV[3] ~= '' and now >= tonumber(ARGV[3]) then return {'late', now} end
        local written = redis.pcall('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
        if written.err then return written end
        if ARGV[4] ~= '' then redis.call('ZADD', KEYS[2], now + ARGV[4], KEYS[1]) end
        return {'granted', now}
        """)

    /// Arguments: owner, the span from the end of the lease to the expiry, the lifetime from now on, the lease if the
    /// claim is indexed.
    static let renew = RedisScript(
        """
        \(ownedHeader)
        if header:byte(3) ~= 1 or header:sub(9, 16) ~= ARGV[2] then return 0 end
        local kept = redis.pcall('PEXPIRE', KEYS[1], ARGV[3])
        if type(kept) == 'table' then return kept end
        if ARGV[4] ~= '' then
            \(now)
            redis.call('ZADD', KEYS[2], now + ARGV[4], KEYS[1])
        end
        return 1
        """)

    /// Stores an outcome.
    ///
    /// One that its owner has stored before stays. It is touched, since `WAIT` waits for what its connection has written.
    ///
    /// Arguments: the completed record, the lifetime from now on, command to publish with; then, where there is something to
    /// do with them, the outcome that has a key of its own, or nothing, and whether the claim is indexed.
    ///
    /// It runs once for each operation, so that it has few words and few commands: the owner is read from the record, and the
    /// channel made of the key.
    static let complete = RedisScript(
        """
        local stored = redis.pcall('GETRANGE', KEYS[1], '0', '55')
        if type(stored) == 'table' then return stored end
        local record = ARGV[1]
        if stored:sub(41) ~= record:sub(41, 56) or stored:byte(1) ~= 2 then return 0 end
        local state = stored:byte(2)
        if state == 2 or state == 3 then
            local lifetime = redis.call('PTTL', KEYS[1])
            if lifetime < 1 then return 1 end
            local touched = redis.pcall('PEXPIRE', KEYS[1], lifetime)
            if type(touched) == 'table' then return touched end
            return 1
        end
        if state ~= 1 then return 0 end
        record = record:sub(1, 16) .. stored:sub(17, 24) .. record:sub(25)
        local written = redis.pcall('SET', KEYS[1], record, 'PX', ARGV[2])
        if written.err then
            local kept = redis.pcall('PEXPIRE', KEYS[1], ARGV[2])
            if type(kept) == 'table' then return kept end
            redis.call('SET', KEYS[1], record, 'PX', ARGV[2])
        end
        if ARGV[4] then
            if ARGV[4] ~= '' then redis.call('SET', KEYS[2], ARGV[4], 'PX', ARGV[2]) end
            if ARGV[5] == '1' then redis.call('ZREM', KEYS[#KEYS], KEYS[1]) end
        end
        redis.pcall(ARGV[3], '{' .. KEYS[1] .. '}', '')
        return 1
        """)

    /// Removes the record of a first attempt; that of a later one has to be remembered.
    ///
    /// The record tells which one it is. A release after a lost reply does not know it.
    ///
    /// Arguments: owner, command to publish with, channel, whether the claim is indexed.
    static let release = RedisScript(
        """
        \(ownedHeader)
        if header:sub(5, 8) ~= '\\0\\0\\0\\1' then return 0 end
        local removed = redis.pcall('DEL', KEYS[1])
        if type(removed) == 'table' then return removed end
        if ARGV[4] == '1' then redis.call('ZREM', KEYS[2], KEYS[1]) end
        redis.pcall(ARGV[2], ARGV[3], '')
        return 1
        """)

    /// Changes a record that is still as it was read.
    ///
    /// Arguments: the header that was read, the lifetime that was read, the new record or nothing to remove it, its
    /// lifetime, whether it is a claim, the deadline of the claim or nothing, command to publish with or
    /// nothing, channel, the outcome if it has a key of its own, what becomes of the index (`add`, `update`, `remove` or
    /// nothing), the lease.
    static let swap = RedisScript(
        """
        local header = redis.pcall('GETRANGE', KEYS[1], '0', '\(RecordCodec.headerSize - 1)')
        if type(header) == 'table' then return header end
        if header ~= ARGV[1] then return {'changed'} end
        if header ~= '' and redis.call('PTTL', KEYS[1]) > tonumber(ARGV[2]) then return {'changed'} end
        \(now)
        if ARGV[6] ~= '' and now >= tonumber(ARGV[6]) then return {'late', now} end
        local result
        if ARGV[3] == '' then
            result = redis.pcall('DEL', KEYS[1])
            if type(result) == 'table' then return result end
        else
            if ARGV[5] ~= '1' then
                result = redis.pcall('PEXPIRE', KEYS[1], ARGV[4])
                if type(result) == 'table' then return result end
                if ARGV[9] ~= '' then redis.call('SET', KEYS[2], ARGV[9], 'PX', ARGV[4]) end
            end
            result = redis.pcall('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
            if result.err then return result end
        end
        if ARGV[10] == 'add' then
            redis.call('ZADD', KEYS[3], now + ARGV[11], KEYS[1])
        elseif ARGV[10] == 'update' then
            redis.call('ZADD', KEYS[3], 'XX', now + ARGV[11], KEYS[1])
        elseif ARGV[10] == 'remove' then
            redis.call('ZREM', KEYS[3], KEYS[1])
        end
        if ARGV[7] ~= '' then redis.pcall(ARGV[7], ARGV[8], '') end
        return {'changed by this', now}
        """)

    /// Removes whatever stands under the key, readable or not.
    ///
    /// Arguments: command to publish with, channel, whether there is an index.
    static let remove = RedisScript(
        """
        local removed = redis.pcall('DEL', KEYS[1])
        if type(removed) == 'table' then return removed end
        redis.call('DEL', KEYS[2])
        if ARGV[3] == '1' then redis.call('ZREM', KEYS[3], KEYS[1]) end
        redis.pcall(ARGV[1], ARGV[2], '')
        return removed
        """)

    /// Takes a record out of the index unless it is claimed.
    static let removeFromIndex = RedisScript(
        """
        local state = redis.pcall('GETRANGE', KEYS[1], '1', '1')
        if type(state) == 'string' and state:byte(1) == 1 then return 0 end
        return redis.call('ZREM', KEYS[2], KEYS[1])
        """)

    private static let now = """
        local time = redis.call('TIME')
        local now = time[1] * 1000 + math.floor(time[2] / 1000)
        """

    /// Reads the header, and ends the script with 0 unless the owner in the first argument has the claim.
    private static let ownedHeader = """
        local header = redis.pcall('GETRANGE', KEYS[1], '0', '\(RecordCodec.headerSize - 1)')
        if type(header) == 'table' then return header end
        if header:byte(2) ~= 1 or header:byte(1) ~= 2 or header:sub(41, 56) ~= ARGV[1] then return 0 end
        """
}
