-- What wrk sends. Arguments after "--": path, kind, prefix of new keys, prefix of those to replay, their number, share of
-- replays in percent, size of the body; kind is "none" (no key), "first" (a key of its own each), "replay" (one of the keys that
-- exist), or "mixed".

local thread_count = 0

function setup(thread)
    thread_count = thread_count + 1
    thread:set("thread_id", thread_count)
end

function init(arguments)
    local path, size = arguments[1], tonumber(arguments[7])
    kind, prefix, seed = arguments[2], arguments[3], arguments[4]
    keys, share = tonumber(arguments[5]), tonumber(arguments[6])
    local content_type = "application/json"
    local body = '{"item":"books","quantity":1,"amount":4200,"currency":"EUR"}'
    if size >= 0 then
        content_type, body = "application/octet-stream", string.rep("x", size)
    end
    before = "POST " .. path .. " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: " .. content_type
        .. "\r\nContent-Length: " .. #body .. "\r\n"
    after = "\r\n" .. body
    counter = 0
    math.randomseed(os.time() + thread_id * 7919)
end

local function first()
    counter = counter + 1
    return before .. "Idempotency-Key: " .. prefix .. thread_id .. "-" .. counter .. "\r\n" .. after
end

-- Keys in turn, those of one thread half the way round from those of the other: requests under way at the same time have different
-- keys, and share no call to a store.
local function replay()
    counter = counter + 1
    local number = (counter + math.floor(thread_id * keys / 2)) % keys + 1
    return before .. "Idempotency-Key: " .. seed .. number .. "\r\n" .. after
end

function request()
    if kind == "none" then return before .. after end
    if kind == "first" then return first() end
    if kind == "replay" or math.random(100) <= share then return replay() end
    return first()
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        "\nRESULT requests=%d duration=%d failed=%d status=%d p50=%d p99=%d\n", summary.requests, summary.duration,
        errors.connect + errors.read + errors.write + errors.timeout, errors.status, latency:percentile(50),
        latency:percentile(99)))
end
