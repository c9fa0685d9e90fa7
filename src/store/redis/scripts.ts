/**
 * The driver's Lua scripts. Redis runs a script alone, so each is one atomic step; each touches one key, so each
 * runs on a Redis Cluster too. Values pass through as bytes.
 *
 * Numbers of up to 2^53 are exact in Lua, but print in exponent notation: they are kept as the texts that came.
 */

import { createHash } from 'node:crypto'

export interface Script {
  readonly source: string
  readonly sha1: string
}

/**
 * A record is a hash. This field stands in every one, because Redis has no hash without fields; the user's fields
 * begin with `fieldPrefix`, so they cannot meet it.
 */
export const markerField = '!'
export const fieldPrefix = ':'

/** Makes a record only if there is none. A script, because between EXISTS and HSET another client could make it. ARGV: ttl, then name and value of each field. */
export const createScript: Script = script(`
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], '${markerField}', '1')
for i = 2, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
`)

/**
 * Changes a record only if it is there (HSET alone would revive a deleted one, without a time to live) and only if it
 * is as expected. ARGV: ttl or '', number of expectations, number of removals; then for each expectation name, '1' or
 * '0' for absent, value; the names to remove; name and value of each field to set.
 */
export const updateScript: Script = script(`
if redis.call('EXISTS', KEYS[1]) == 0 then return 'missing' end
local at = 4
for _ = 1, tonumber(ARGV[2]) do
  local held = redis.call('HGET', KEYS[1], ARGV[at])
  if ARGV[at + 1] == '1' then
    if held ~= ARGV[at + 2] then return 'conflict' end
  elseif held then
    return 'conflict'
  end
  at = at + 3
end
for _ = 1, tonumber(ARGV[3]) do
  redis.call('HDEL', KEYS[1], ARGV[at])
  at = at + 1
end
for i = at, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
if ARGV[1] ~= '' then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return 'updated'
`)

/** Raises one part of a token to a maximum; a plain HSET could lower what another clone has just raised. ARGV: ttl, epoch, position. */
export const raiseTokenScript: Script = script(`
local held = redis.call('HGET', KEYS[1], ARGV[2])
if not held or tonumber(ARGV[3]) > tonumber(held) then redis.call('HSET', KEYS[1], ARGV[2], ARGV[3]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
`)

/** Replaces a token only as it was seen: a part that was raised meanwhile must not be lost. ARGV: ttl, epoch, position, then epoch and position of each part that was seen. */
export const replaceTokenScript: Script = script(`
local parts = (#ARGV - 3) / 2
if parts == 0 or redis.call('HLEN', KEYS[1]) ~= parts then return 0 end
for i = 4, #ARGV, 2 do
  local held = redis.call('HGET', KEYS[1], ARGV[i])
  if not held or tonumber(held) ~= tonumber(ARGV[i + 1]) then return 0 end
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
`)

/** How long a lease's fence is remembered after the lease's end: seven days. */
const fenceMemoryMs = 7 * 24 * 3_600_000

const leaseNow = `
local time = redis.call('TIME')
local micros = tonumber(time[1]) * 1000000 + tonumber(time[2])
local held = redis.call('HMGET', KEYS[1], 'holder', 'fence', 'until')
local alive = held[3] and tonumber(held[3]) > micros
`

const leaseStore = `
local function store(holder, fence, ttl)
  redis.call('HSET', KEYS[1], 'holder', holder, 'fence', fence, 'until', string.format('%.0f', micros + ttl * 1000))
  redis.call('PEXPIRE', KEYS[1], ttl + ${fenceMemoryMs})
end
`

/**
 * Takes a free lease. The key outlives the lease, so that the next fence is greater; and a fence is at least the
 * server's clock in microseconds, so that it is greater also when the key or the whole Redis was lost. ARGV: ttl, holder.
 */
export const acquireLeaseScript: Script = script(`${leaseNow}${leaseStore}
if alive and held[1] ~= ARGV[2] then return false end
local fence = held[2]
if not alive then fence = string.format('%.0f', math.max(micros, tonumber(held[2] or '0') + 1)) end
store(ARGV[2], fence, tonumber(ARGV[1]))
return fence
`)

/** Lengthens a lease that is still held with this fence: time may have passed since its holder looked. ARGV: ttl, holder, fence. */
export const renewLeaseScript: Script = script(`${leaseNow}${leaseStore}
if not alive or held[1] ~= ARGV[2] or tonumber(held[2]) ~= tonumber(ARGV[3]) then return 0 end
store(ARGV[2], held[2], tonumber(ARGV[1]))
return 1
`)

/** Ends a lease that is still held with this fence, keeping its fence. ARGV: holder, fence. */
export const releaseLeaseScript: Script = script(`${leaseNow}
if not alive or held[1] ~= ARGV[1] or tonumber(held[2]) ~= tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], 'until', '0')
return 1
`)

function script(source: string): Script {
  return { source, sha1: createHash('sha1').update(source).digest('hex') }
}
