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

/**
 * A group of the registry is one hash: id to "fence revision until value". One key, so that reading a group is one
 * step. The version is the greatest revision among the living and their number, as in the embedded store.
 */
const registryNow = `
local time = redis.call('TIME')
local micros = tonumber(time[1]) * 1000000 + tonumber(time[2])
local lastField = '${markerField}'
local function whole(number) return string.format('%.0f', number) end
local function parse(text)
  local fence, revision, expires, at = string.match(text, '^(%d+) (%d+) (%d+) ()')
  return { fence = fence, revision = tonumber(revision), expires = tonumber(expires), value = string.sub(text, at) }
end
local function alive(id)
  local text = redis.call('HGET', KEYS[1], id)
  local held = text and parse(text)
  return held and held.expires > micros and held or nil
end
local function rise()
  local last = whole(math.max(micros, tonumber(redis.call('HGET', KEYS[1], lastField) or '0') + 1))
  redis.call('HSET', KEYS[1], lastField, last)
  return last
end
local function put(id, fence, revision, ttl, value)
  redis.call('HSET', KEYS[1], id, fence .. ' ' .. revision .. ' ' .. whole(micros + ttl * 1000) .. ' ' .. value)
  local lasting = ttl + ${fenceMemoryMs}
  if redis.call('PTTL', KEYS[1]) < lasting then redis.call('PEXPIRE', KEYS[1], lasting) end
end
`

/** Puts an entry in place of any other, and takes those away that have expired. ARGV: id, ttl, value. */
export const registerScript: Script = script(`${registryNow}
local flat = redis.call('HGETALL', KEYS[1])
for i = 1, #flat, 2 do
  if flat[i] ~= lastField and parse(flat[i + 1]).expires <= micros then redis.call('HDEL', KEYS[1], flat[i]) end
end
local fence = rise()
put(ARGV[1], fence, fence, tonumber(ARGV[2]), ARGV[3])
return fence
`)

/** Lengthens an entry that is still there with this fence: a process that was paused must not come back unseen. ARGV: id, fence, ttl, then the value where it is to change. */
export const renewRegistrationScript: Script = script(`${registryNow}
local held = alive(ARGV[1])
if not held or tonumber(held.fence) ~= tonumber(ARGV[2]) then return 0 end
local revision = ARGV[4] and rise() or whole(held.revision)
put(ARGV[1], held.fence, revision, tonumber(ARGV[3]), ARGV[4] or held.value)
return 1
`)

/** Takes an entry away only where it is still that one: its successor has the same id. ARGV: id, fence. */
export const withdrawScript: Script = script(`${registryNow}
local held = alive(ARGV[1])
if held and tonumber(held.fence) == tonumber(ARGV[2]) then redis.call('HDEL', KEYS[1], ARGV[1]) end
return 1
`)

/** The living entries as id, fence, value; nothing when they are those that were seen. ARGV: the version that was seen, or ''. */
export const readRegistryScript: Script = script(`${registryNow}
local flat = redis.call('HGETALL', KEYS[1])
local entries, newest = {}, 0
for i = 1, #flat, 2 do
  local held = flat[i] ~= lastField and parse(flat[i + 1])
  if held and held.expires > micros then
    newest = math.max(newest, held.revision)
    for _, part in ipairs({ flat[i], held.fence, held.value }) do entries[#entries + 1] = part end
  end
end
local version = whole(newest) .. '.' .. (#entries / 3)
if version == ARGV[1] then return false end
return { version, entries }
`)

/**
 * Adds an entry to a stream of Redis under the next number, and trims it. A script, because Redis numbers by its
 * clock, which shows no gaps. A stream that begins takes the clock in microseconds. ARGV: ttl, how many to keep, value.
 */
export const appendScript: Script = script(`
local time = redis.call('TIME')
local next = string.format('%.0f', tonumber(time[1]) * 1000000 + tonumber(time[2]))
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
if newest[1] then next = string.format('%.0f', tonumber(string.match(newest[1][1], '^%d+')) + 1) end
redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[2], next .. '-0', 'v', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return next
`)

/** Entries behind a number as pairs of number and value, between the oldest and the newest number kept. A script, so that all are of one moment. ARGV: after, limit. */
export const readStreamScript: Script = script(`
local function number(id) return string.match(id, '^%d+') end
local oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)
if not oldest[1] then return { '0', '0', {} } end
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
local from = '(' .. ARGV[1]
if tonumber(ARGV[1]) > tonumber(number(newest[1][1])) then from = '-' end
local flat = {}
if tonumber(ARGV[2]) > 0 then
  for _, entry in ipairs(redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', ARGV[2])) do
    flat[#flat + 1] = number(entry[1])
    flat[#flat + 1] = entry[2][2]
  end
end
return { number(oldest[1][1]), number(newest[1][1]), flat }
`)

/**
 * Spends of a budget, which is kept as the moment when it is full again, in milliseconds, and does not exist when it is
 * full. ARGV: cost, capacity.
 */
export const spendScript: Script = script(`
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000
local cost, capacity = tonumber(ARGV[1]), tonumber(ARGV[2])
local spent = math.max(0, tonumber(redis.call('GET', KEYS[1]) or '0') - now)
if spent + cost > capacity then return {0, math.max(0, math.floor(capacity - spent))} end
if cost > 0 then
  redis.call('SET', KEYS[1], string.format('%.3f', now + spent + cost), 'PX', math.ceil(spent + cost))
end
return {1, math.floor(capacity - spent - cost)}
`)

function script(source: string): Script {
  return { source, sha1: createHash('sha1').update(source).digest('hex') }
}
