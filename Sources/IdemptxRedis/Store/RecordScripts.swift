/// `RecordTransitions`, transcribed to scripts that run in one step inside the server, by its clock.
///
/// Records have the layout of `RecordCodec`: 90 bytes of header, then the outcome. A script gets a record made by
/// the codec as a template, so that none of them makes up an owner, a fingerprint or an outcome. Lua counts from 1.
///
/// | Lua | field |
/// |---|---|
/// | 1, 2 | version, state (1 claimed, 2 response, 3 tombstone) |
/// | 3-6 | attempt |
/// | 7-22 | owner |
/// | 23-26 | recipe of the fingerprint, its version first |
/// | 27-58 | digest of the fingerprint, the first eight bytes for method and path |
/// | 59-66, 67-74, 75-82 | end of the lease, first claimed, expires |
/// | 83-90 | the start of the SHA-1 digest of the rest of the header |
/// | 91- | the outcome |
///
/// Redis keeps no key for no time: a record that is to be gone at once has a millisecond.
///
/// **When memory is full**, a server refuses the first writing command of a script if that command could use more. A
/// claim is refused then. The other scripts write first what uses none, so that who runs already can renew its lease and
/// store its outcome: what they may use is bounded by what is running.
enum RecordScripts {
    /// Arguments: template of the claimed record, whether fingerprints count, lease, keyTTL, rule for abandoned keys.
    static let claim = RedisScript(
        Lua.prelude + """
            local template = ARGV[1]
            local attempt, created = 1, now
            local record = redis.pcall('GET', KEYS[1])
            if isError(record) then return record end
            if record and isDamaged(record) then return damage end
            if record and now < number(record, 75, 82) then
                if ARGV[2] == '1' and disagrees(record, template) then return {'mismatch'} end
                if record:byte(2) ~= 1 then return {'replay', record} end
                attempt, created = number(record, 3, 6), number(record, 67, 74)
                if record:sub(7, 22) ~= template:sub(7, 22) then
                    local leaseEnd = number(record, 59, 66)
                    if now < leaseEnd then return {'inProgress', leaseEnd - now} end
                    if ARGV[5] == 'refuse' then return {'outcomeUnknown'} end
                    attempt = attempt + 1
                end
            end
            local keyTTL = math.max(ARGV[3], ARGV[4], 1)
            local fields = template:sub(1, 2) .. struct.pack('>I4', attempt) .. template:sub(7, 58)
                .. instant(now + ARGV[3]) .. instant(created) .. instant(now + keyTTL)
            local written = redis.pcall('SET', KEYS[1], fields .. digest(fields), 'PX', keyTTL)
            if isError(written) then return written end
            return {'execute', attempt}
            """)

    /// Arguments: owner, lease, keyTTL.
    static let renew = RedisScript(
        Lua.prelude + Lua.header(orReturn: "0") + """
            if header:sub(7, 22) ~= ARGV[1] or header:byte(2) ~= 1 then return 0 end
            local keyTTL = math.max(ARGV[2], ARGV[3], 1)
            local kept = redis.pcall('PEXPIRE', KEYS[1], keyTTL)
            if isError(kept) then return kept end
            local fields = header:sub(1, 58)
                .. instant(now + ARGV[2]) .. header:sub(67, 74) .. instant(now + keyTTL)
            redis.call('SETRANGE', KEYS[1], 0, fields .. digest(fields))
            return 1
            """)

    /// Arguments: owner, template of the completed record, keyTTL, command to publish with, channel.
    static let complete = RedisScript(
        Lua.prelude + Lua.header(orReturn: "0") + """
            if header:sub(7, 22) ~= ARGV[1] then return 0 end
            if header:byte(2) ~= 1 then return 1 end
            local template, keyTTL = ARGV[2], math.max(ARGV[3], 1)
            local kept = redis.pcall('PEXPIRE', KEYS[1], keyTTL)
            if isError(kept) then return kept end
            local fields = template:sub(1, 2) .. header:sub(3, 58)
                .. template:sub(59, 66) .. header:sub(67, 74) .. instant(now + keyTTL)
            redis.call('SET', KEYS[1], fields .. digest(fields) .. template:sub(91), 'PX', keyTTL)
            publish(ARGV[4], ARGV[5])
            return 1
            """)

    /// Arguments: owner, command to publish with, channel.
    static let release = RedisScript(
        Lua.prelude + Lua.header(orReturn: "0") + """
            if header:sub(7, 22) ~= ARGV[1] or header:byte(2) ~= 1 then return 0 end
            local removed = redis.pcall('DEL', KEYS[1])
            if isError(removed) then return removed end
            publish(ARGV[2], ARGV[3])
            return 1
            """)

    /// Arguments: whether to release under a running lease, command to publish with, channel.
    static let operatorRelease = RedisScript(
        Lua.prelude + Lua.header(orReturn: "{'absent'}") + """
            if header:byte(2) ~= 1 then return {'completed'} end
            local leaseEnd = number(header, 59, 66)
            if now < leaseEnd and ARGV[1] ~= '1' then return {'leaseRunning', leaseEnd - now} end
            local removed = redis.pcall('DEL', KEYS[1])
            if isError(removed) then return removed end
            publish(ARGV[2], ARGV[3])
            return {'released'}
            """)

    /// Removes whatever stands under the key, readable or not.
    ///
    /// Arguments: command to publish with, channel.
    static let remove = RedisScript(
        Lua.prelude + """
            local removed = redis.pcall('DEL', KEYS[1])
            if isError(removed) then return removed end
            publish(ARGV[1], ARGV[2])
            return removed
            """)
}

/// What the scripts have in common.
private enum Lua {
    static let prelude = """
        local time = redis.call('TIME')
        local now = time[1] * 1000 + math.floor(time[2] / 1000)

        local function isError(reply)
            return type(reply) == 'table' and reply.err ~= nil
        end

        local function number(bytes, first, last)
            return (struct.unpack('>I' .. (last - first + 1), bytes:sub(first, last)))
        end

        local function instant(milliseconds)
            return struct.pack('>I8', milliseconds)
        end

        local function digest(fields)
            return redis.sha1hex(fields):sub(1, 8)
        end

        local damage = redis.error_reply('CORRUPT the record is damaged, or of a later version')

        local function isDamaged(record)
            return #record < 90 or record:byte(1) ~= 1 or record:byte(2) < 1 or record:byte(2) > 3
                or record:sub(83, 90) ~= digest(record:sub(1, 82))
        end

        local function disagrees(record, template)
            local stored, asked = record:sub(23, 26), template:sub(23, 26)
            if stored == asked then
                return asked ~= '\\0\\0\\0\\0' and record:sub(27, 58) ~= template:sub(27, 58)
            end
            local version = asked:byte(1)
            return version ~= 0 and version == stored:byte(1) and record:sub(27, 34) ~= template:sub(27, 34)
        end

        -- A hint that cannot be sent costs those who wait one more question.
        local function publish(command, channel)
            redis.pcall(command, channel, '')
        end


        """

    /// Reads the header into `header`, and ends the script with `absent` if there is no record, or it has expired.
    static func header(orReturn absent: String) -> String {
        """
        local header = redis.pcall('GETRANGE', KEYS[1], 0, 89)
        if isError(header) then return header end
        if header == '' then return \(absent) end
        if isDamaged(header) then return damage end
        if number(header, 75, 82) <= now then return \(absent) end

        """
    }
}
