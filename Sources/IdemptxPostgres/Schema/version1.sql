-- A record per key, as a value of RecordTransitions. Times are milliseconds since 1970, by the clock of this server.
--
-- Columns of fixed size come first, so that none of them is padded.
CREATE TABLE "idemptx".record (
    -- When the key was first claimed.
    created bigint NOT NULL,
    -- From then on the record counts as absent. The largest number stands for never.
    expires bigint NOT NULL,
    -- When the record may be deleted; see the function sweepable.
    sweepable bigint,
    -- When the lease of a claim ends.
    lease_end bigint,
    -- When the lease of the attempt before this one ended, if its outcome is unknown.
    unknown_since bigint,
    -- How the fingerprint of the request was made.
    recipe bigint NOT NULL,
    attempt integer NOT NULL,
    -- 1 claimed, 2 completed with a response, 3 completed with a tombstone, 4 free.
    state smallint NOT NULL,
    -- The status of the response.
    status smallint,
    -- Whether it is a claim whose outcome is kept if it stays unknown: under the rules refuse and recover.
    unsettled boolean NOT NULL,
    -- Whether somebody listens for the end of the claim.
    waited boolean NOT NULL,
    -- SHA-256 of namespace, scope and the client's key.
    key bytea NOT NULL PRIMARY KEY,
    -- The token of the attempt.
    owner bytea NOT NULL,
    -- The fingerprint of the request.
    digest bytea NOT NULL,
    -- The status line and the header fields of the response, a line each.
    head bytea,
    -- The body of the response.
    body bytea,
    -- A record that was damaged by hand would be claimed again. Times end in the year 287,000, before those of the server do.
    CHECK (state BETWEEN 1 AND 4 AND attempt >= 1),
    CHECK ((state = 1) = (lease_end IS NOT NULL)),
    CHECK ((state IN (2, 3)) = (status IS NOT NULL) AND (state = 2) = (body IS NOT NULL)),
    CHECK (created <= 9000000000000000 AND (expires <= 9000000000000000 OR expires = 9223372036854775807)),
    CHECK (lease_end <= 9000000000000000)
) WITH (
    -- A claim becomes completed in place, as an update that touches no index (HOT), if the page has room for a second
    -- version of the row. So inserts leave this much of each page free.
    fillfactor = 70,
    -- What sweeping deletes is used again before the table has grown by a fifth, the default.
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_vacuum_threshold = 1000,
    toast.autovacuum_vacuum_scale_factor = 0.05,
    toast.autovacuum_vacuum_threshold = 1000
);

-- Rows above 2 KB have their response beside the table. It is not compressed there: that would cost every replay, and much
-- of what is that large is compressed already.
ALTER TABLE "idemptx".record ALTER COLUMN head SET STORAGE EXTERNAL, ALTER COLUMN body SET STORAGE EXTERNAL;

-- For sweeping. An index of expires would make every renewal and every completion touch all indexes.
CREATE INDEX record_sweepable ON "idemptx".record (sweepable) WHERE sweepable IS NOT NULL;

-- For operators: the claims under refuse and recover, running or of unknown outcome. Claims under rerun never enter or leave it.
CREATE INDEX record_unsettled ON "idemptx".record (key) WHERE unsettled;

CREATE FUNCTION "idemptx".clock() RETURNS bigint LANGUAGE sql VOLATILE PARALLEL SAFE AS $function$
    SELECT floor(date_part('epoch', clock_timestamp()) * 1000)::bigint
$function$;

-- When a record may be deleted that is kept for so long: at the end of the slot of time in which it expires. A slot is a
-- thirty-second of the time for which the record is kept, so that a completion nearly always leaves the column as it is.
CREATE FUNCTION "idemptx".sweepable(expires bigint, kept bigint) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $function$
    SELECT CASE WHEN kept IS NOT NULL THEN (expires / greatest(1, kept / 32) + 1) * greatest(1, kept / 32) END
$function$;

-- About deadlines: a function that is about to wait for a lock sets lock_timeout, until the end of the transaction, which is its
-- own. A setting of the session would not survive a pooler, and statement_timeout counts from the start of a statement, so that
-- it cannot be set inside of one. lock_timeout counts anew for each lock. PostgreSQL queues those who wait for a row: a function
-- may wait for its turn, and then for the transaction that holds the row. So the limit of one wait, p_lock_wait, is a third of
-- the time that was left when the call was sent, or of p_time_left, what is left now, where that is known and less.
CREATE FUNCTION "idemptx".limit_lock_wait(p_lock_wait bigint, p_time_left bigint) RETURNS text LANGUAGE sql VOLATILE
AS $function$
    SELECT set_config('lock_timeout', greatest(1, least(p_lock_wait, p_time_left / 3))::text, true)
$function$;

-- Claims a key.
--
-- What changes nothing writes nothing and takes no lock: a record is read first, and written if it is still what was read.
--
-- p_rule is rerun, refuse or recover. p_kept is how long the record is kept, null for good. The claim is refused from
-- p_not_after on. p_lock_wait is how long to wait for one lock at most, in milliseconds. p_waits: somebody listens, and is told
-- when an attempt that is in progress now has ended.
CREATE FUNCTION "idemptx".claim(
    p_key bytea, p_owner bytea, p_recipe bigint, p_digest bytea, p_compares boolean, p_rule text, p_lease bigint,
    p_kept bigint, p_not_after bigint, p_lock_wait bigint, p_waits boolean,
    OUT result text, OUT now bigint, OUT attempt bigint, OUT created bigint, OUT unknown_since bigint,
    OUT lease_left bigint, OUT status bigint, OUT head bytea, OUT body bytea
) LANGUAGE plpgsql AS $function$
DECLARE
    old "idemptx".record%ROWTYPE;
    v_expires bigint;
BEGIN
    FOR try IN 1..10 LOOP
        SELECT r.* INTO old FROM "idemptx".record r WHERE r.key = p_key;
        now := "idemptx".clock();
        attempt := 1;
        created := now;
        unknown_since := NULL;
        IF old.key IS NULL OR old.expires <= now THEN
            NULL;
        ELSIF old.state = 4 THEN
            attempt := old.attempt + 1;
        ELSIF p_compares AND (
            -- Fingerprint.disagrees: bytes 1 to 8 stand for method and path, 9 to 24 for all but the host.
            CASE
                WHEN old.recipe = p_recipe THEN p_recipe <> 0 AND old.digest <> p_digest
                WHEN old.recipe >> 24 = 0 OR p_recipe >> 24 = 0 THEN false
                ELSE substr(old.digest, 1, 8) <> substr(p_digest, 1, 8)
                    OR (old.recipe & 16777215) = (p_recipe & 16777215)
                    AND substr(old.digest, 9, 16) <> substr(p_digest, 9, 16)
            END
        ) THEN
            result := 'mismatch';
            RETURN;
        ELSIF old.state IN (2, 3) THEN
            result := 'completed';
            status := old.status;
            head := old.head;
            body := old.body;
            RETURN;
        ELSIF old.owner = p_owner THEN
            attempt := old.attempt;
            created := old.created;
            unknown_since := old.unknown_since;
        ELSIF now < old.lease_end THEN
            IF p_waits AND NOT old.waited AND now < p_not_after THEN
                PERFORM "idemptx".limit_lock_wait(p_lock_wait, p_not_after - now);
                UPDATE "idemptx".record r SET waited = true
                WHERE r.key = p_key AND r.state = 1 AND r.owner = old.owner;
                CONTINUE WHEN NOT FOUND;
            END IF;
            result := 'in progress';
            lease_left := old.lease_end - now;
            RETURN;
        ELSIF p_rule = 'refuse' THEN
            result := 'unknown';
            RETURN;
        ELSE
            attempt := old.attempt + 1;
            created := old.created;
            unknown_since := old.lease_end;
        END IF;

        IF p_not_after <= now THEN
            result := 'late';
            RETURN;
        END IF;
        PERFORM "idemptx".limit_lock_wait(p_lock_wait, p_not_after - now);
        v_expires := coalesce(now + p_kept, 9223372036854775807);
        IF old.key IS NULL THEN
            INSERT INTO "idemptx".record AS r (
                created, expires, sweepable, lease_end, recipe, attempt, state, unsettled, waited, key, owner, digest
            ) VALUES (
                claim.now, v_expires, "idemptx".sweepable(v_expires, p_kept), claim.now + p_lease, p_recipe, 1, 1,
                p_rule <> 'rerun', false, p_key, p_owner, p_digest
            ) ON CONFLICT DO NOTHING;
        ELSE
            UPDATE "idemptx".record r SET
                created = claim.created, expires = v_expires, sweepable = "idemptx".sweepable(v_expires, p_kept),
                lease_end = claim.now + p_lease, unknown_since = claim.unknown_since, recipe = p_recipe,
                attempt = claim.attempt, state = 1, status = NULL, unsettled = p_rule <> 'rerun',
                waited = r.state = 1 AND r.waited, owner = p_owner, digest = p_digest, head = NULL, body = NULL
            WHERE r.key = p_key AND r.owner = old.owner AND r.state = old.state AND r.expires = old.expires
                AND r.lease_end IS NOT DISTINCT FROM old.lease_end;
        END IF;
        IF FOUND THEN
            -- Each new version of a row that others make is waited for anew, so that all waits together can be too long. This
            -- rolls back what was written.
            IF p_not_after <= "idemptx".clock() THEN
                RAISE EXCEPTION 'too late' USING ERRCODE = CASE WHEN old.key IS NULL THEN 'IX002' ELSE '55P03' END;
            END IF;
            result := 'granted';
            RETURN;
        END IF;
    END LOOP;
    RAISE EXCEPTION 'a record changed faster than it could be claimed' USING ERRCODE = 'serialization_failure';
END
$function$;

-- Moves the end of a lease; one of no length ends now.
CREATE FUNCTION "idemptx".renew(p_key bytea, p_owner bytea, p_lease bigint, p_kept bigint, p_lock_wait bigint)
RETURNS boolean LANGUAGE plpgsql AS $function$
DECLARE
    now bigint := "idemptx".clock();
    v_expires bigint := coalesce(now + p_kept, 9223372036854775807);
    is_waited boolean;
BEGIN
    PERFORM "idemptx".limit_lock_wait(p_lock_wait, NULL);
    UPDATE "idemptx".record r
    SET lease_end = now + p_lease, expires = v_expires, sweepable = "idemptx".sweepable(v_expires, p_kept)
    WHERE r.key = p_key AND r.owner = p_owner AND r.state = 1 AND r.expires > now
    RETURNING r.waited INTO is_waited;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF is_waited AND p_lease <= 0 THEN
        PERFORM pg_notify('idemptx', encode(p_key, 'hex'));
    END IF;
    RETURN true;
END
$function$;

-- Stores how an operation ended: a tombstone if there is no body.
--
-- p_may_repeat: the call may be repeated because its reply was lost, so that an outcome of the same owner is as good. In a
-- transaction of an application it is not: what that wrote belongs to the outcome of this call and no other.
--
-- It can be part of a transaction of an application: SET lock_timeout makes the one set here end with the function.
CREATE FUNCTION "idemptx".complete(
    p_key bytea, p_owner bytea, p_status bigint, p_head bytea, p_body bytea, p_kept bigint, p_lock_wait bigint,
    p_may_repeat boolean
) RETURNS boolean LANGUAGE plpgsql SET lock_timeout = '1s' AS $function$
DECLARE
    now bigint := "idemptx".clock();
    is_waited boolean;
BEGIN
    PERFORM "idemptx".limit_lock_wait(p_lock_wait, NULL);
    UPDATE "idemptx".record r SET
        state = CASE WHEN p_body IS NULL THEN 3 ELSE 2 END, status = p_status, head = p_head, body = p_body,
        lease_end = NULL, unknown_since = NULL, unsettled = false, expires = now + p_kept,
        sweepable = "idemptx".sweepable(now + p_kept, p_kept)
    WHERE r.key = p_key AND r.owner = p_owner AND r.state = 1 AND r.expires > now
    RETURNING r.waited INTO is_waited;
    IF FOUND THEN
        -- Only if somebody listens: a commit with a notification takes a lock of the whole server.
        IF is_waited THEN
            PERFORM pg_notify('idemptx', encode(p_key, 'hex'));
        END IF;
        RETURN true;
    END IF;
    IF NOT p_may_repeat THEN
        RETURN false;
    END IF;
    -- The row is written once more as it is, so that this commit, too, waits
    -- for the standbys that it has to wait for: the wait of the first one may have been broken off.
    UPDATE "idemptx".record r SET waited = r.waited
    WHERE r.key = p_key AND r.owner = p_owner AND r.state IN (2, 3) AND r.expires > now;
    RETURN FOUND;
END
$function$;

-- Frees a key because nothing was done. The first attempt leaves nothing; a later one leaves its number.
CREATE FUNCTION "idemptx".release(p_key bytea, p_owner bytea, p_kept bigint, p_lock_wait bigint)
RETURNS boolean LANGUAGE plpgsql AS $function$
DECLARE
    now bigint := "idemptx".clock();
    is_waited boolean;
BEGIN
    PERFORM "idemptx".limit_lock_wait(p_lock_wait, NULL);
    DELETE FROM "idemptx".record r
    WHERE r.key = p_key AND r.owner = p_owner AND r.state = 1 AND r.attempt = 1 AND r.expires > now
    RETURNING r.waited INTO is_waited;
    IF NOT FOUND THEN
        UPDATE "idemptx".record r SET
            state = 4, lease_end = NULL, unknown_since = NULL, unsettled = false, expires = now + p_kept,
            sweepable = "idemptx".sweepable(now + p_kept, p_kept)
        WHERE r.key = p_key AND r.owner = p_owner AND r.state = 1 AND r.attempt > 1 AND r.expires > now
        RETURNING r.waited INTO is_waited;
        IF NOT FOUND THEN
            RETURN false;
        END IF;
    END IF;
    IF is_waited THEN
        PERFORM pg_notify('idemptx', encode(p_key, 'hex'));
    END IF;
    RETURN true;
END
$function$;

-- Settles a key on behalf of an operator: stores an outcome, or frees the key if there is no status.
CREATE FUNCTION "idemptx".settle(
    p_key bytea, p_force boolean, p_status bigint, p_head bytea, p_body bytea, p_kept bigint, p_lock_wait bigint,
    OUT result text, OUT lease_left bigint
) LANGUAGE plpgsql AS $function$
DECLARE
    now bigint := "idemptx".clock();
    is_waited boolean;
BEGIN
    PERFORM "idemptx".limit_lock_wait(p_lock_wait, NULL);
    UPDATE "idemptx".record r SET
        state = CASE WHEN p_status IS NULL THEN 4 WHEN p_body IS NULL THEN 3 ELSE 2 END, status = p_status,
        head = p_head, body = p_body, lease_end = NULL, unknown_since = NULL, unsettled = false, expires = now + p_kept,
        sweepable = "idemptx".sweepable(now + p_kept, p_kept)
    WHERE r.key = p_key AND r.state = 1 AND r.expires > now AND (p_force OR r.lease_end <= now)
    RETURNING r.waited INTO is_waited;
    IF FOUND THEN
        IF is_waited THEN
            PERFORM pg_notify('idemptx', encode(p_key, 'hex'));
        END IF;
        result := 'done';
        RETURN;
    END IF;
    SELECT
        CASE r.state WHEN 1 THEN 'lease running' WHEN 4 THEN 'absent' ELSE 'already completed' END,
        greatest(0, r.lease_end - now)
    INTO result, lease_left
    FROM "idemptx".record r WHERE r.key = p_key AND r.expires > now;
    result := coalesce(result, 'absent');
END
$function$;

-- Deletes a record in whatever state; returns whether there was one that had not expired.
CREATE FUNCTION "idemptx".remove(p_key bytea, p_lock_wait bigint)
RETURNS boolean LANGUAGE plpgsql AS $function$
DECLARE
    old "idemptx".record%ROWTYPE;
BEGIN
    PERFORM "idemptx".limit_lock_wait(p_lock_wait, NULL);
    DELETE FROM "idemptx".record r WHERE r.key = p_key RETURNING r.* INTO old;
    IF old.waited THEN
        PERFORM pg_notify('idemptx', encode(p_key, 'hex'));
    END IF;
    RETURN FOUND AND old.expires > "idemptx".clock();
END
$function$;

-- Deletes expired records until a bound is reached, in one short transaction that waits for nobody: those that somebody is
-- about to claim are left alone, and those of another sweep, too.
CREATE FUNCTION "idemptx".sweep(p_records bigint, p_bytes bigint, OUT swept bigint, OUT has_more boolean)
LANGUAGE plpgsql AS $function$
DECLARE
    now bigint := "idemptx".clock();
    bytes bigint := 0;
    old record;
BEGIN
    swept := 0;
    FOR old IN
        SELECT r.key, octet_length(r.body) AS size FROM "idemptx".record r
        WHERE r.sweepable <= now AND r.expires <= now ORDER BY r.sweepable LIMIT p_records FOR UPDATE SKIP LOCKED
    LOOP
        DELETE FROM "idemptx".record r WHERE r.key = old.key;
        swept := swept + 1;
        bytes := bytes + coalesce(old.size, 0);
        EXIT WHEN bytes >= p_bytes;
    END LOOP;
    has_more := swept = p_records OR bytes >= p_bytes;
END
$function$;

-- For people: the records that have not expired.
CREATE VIEW "idemptx".record_overview AS
SELECT
    encode(r.key, 'hex') AS key,
    CASE
        WHEN r.state = 1 AND r.lease_end <= c.now THEN 'unknown'
        WHEN r.state = 1 THEN 'claimed'
        WHEN r.state = 2 THEN 'completed'
        WHEN r.state = 3 THEN 'tombstone'
        ELSE 'free'
    END AS state,
    r.attempt,
    to_timestamp(r.created / 1000.0) AS first_claimed,
    to_timestamp(r.lease_end / 1000.0) AS lease_ends,
    CASE WHEN r.expires = 9223372036854775807 THEN 'infinity' ELSE to_timestamp(r.expires / 1000.0) END AS expires,
    r.status,
    octet_length(r.body) AS body_bytes,
    r.state = 1 AND r.waited AS is_waited_for
FROM "idemptx".record r, LATERAL (SELECT "idemptx".clock() AS now) c
WHERE r.expires > c.now;

COMMENT ON TABLE "idemptx".record IS 'Idempotency records; record_overview shows them in words.';
COMMENT ON VIEW "idemptx".record_overview IS
    'Idempotency records that have not expired. State: claimed, an attempt runs; unknown, its lease ended without an '
    'outcome; completed, its response is replayed; tombstone, it is done and its response is not kept; free, it was '
    'released.';
