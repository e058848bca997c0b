-- What replicas do to the store, each time as one step that no other replica can come between.
--
-- Time is the store's own, and travels as time that is left: no clock of a replica is compared with another's. Whatever
-- a stranger left under a key of ours is deleted or bounded, so that nothing but the key's own value can hold a renewal up.
--
-- KEYS: the token (a hash of version, accepted, sealed), the lease (its owner), the latest failure (sealed), the token
--       requests in the window (a sorted set of owners by time), the cool-down after a throttle
-- ARGV: operation, the version of the newest token that the caller knows, the operation's own arguments
-- Answers {the store's time, what, …}.

local TOKEN, LEASE, FAILURE, SPENT, THROTTLED = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local held = tonumber(ARGV[2])

-- By so many milliseconds may a caller know less of a token's life than is left: it counts from before it asked.
local TOLERATED = 1000

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

for place, wanted in ipairs({ 'hash', 'string', 'string', 'zset', 'string' }) do
  local found = redis.call('TYPE', KEYS[place]).ok
  if found ~= wanted and found ~= 'none' then
    redis.call('UNLINK', KEYS[place])
  end
end

-- A first write, of nothing. Where none is allowed, every operation fails alike, and none half-way; and where memory is full,
-- Redis refuses to begin writing, not to go on.
redis.call('ZREMRANGEBYRANK', SPENT, 1, 0)

-- How long a key still lives, nil if it is not there or does not end within `most`: then none of us wrote it.
local function left(key, most)
  local life = redis.call('PTTL', key)
  if life > 0 and life <= most then
    return life
  end
  redis.call('UNLINK', key)
  return nil
end

-- The token, unless its version is `version` or an older one.
local function newer_than(version)
  local token = redis.call('HMGET', TOKEN, 'version', 'accepted', 'sealed')
  local stored = tonumber(token[1])
  if redis.call('EXISTS', TOKEN) == 0 or (stored and stored <= version) then
    return nil
  end
  return { now, 'newer', token[1] or '', token[2] or '', token[3] or '', redis.call('PTTL', TOKEN) }
end

-- Whose lease it is: 'mine', 'theirs', nil; and whether it was taken over from somebody.
local function holder(owner)
  local found = redis.call('GET', LEASE)
  if not found then
    return nil, false
  end
  local taken_over = string.sub(found, -1) == '!'
  if taken_over then
    found = string.sub(found, 1, -2)
  end
  return found == owner and 'mine' or 'theirs', taken_over
end

-- How long until the budget allows one more token request; nil if it does now.
local function until_allowed(budget, window)
  redis.call('ZREMRANGEBYSCORE', SPENT, '-inf', now - window)
  -- The clock has jumped back: what was spent counts for a whole window from now.
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', SPENT, '(' .. now, '+inf')) do
    redis.call('ZADD', SPENT, now, member)
  end
  local spent = redis.call('ZCARD', SPENT)
  if spent < budget then
    return nil
  end
  local oldest = redis.call('ZRANGE', SPENT, spent - budget, spent - budget, 'WITHSCORES')
  return math.max(1, tonumber(oldest[2]) + window - now)
end

-- A token request counts from its end: when Zoho saw it is not known.
local function ended(owner)
  redis.call('ZADD', SPENT, 'XX', now, owner)
end

local operation = {}

-- Is there a newer token? If Zoho has accepted the caller's, it tells the others; and if the store's clock has jumped back,
-- the caller knows better when the token ends.
function operation.look(accepted, life)
  local newer = newer_than(held)
  if newer then
    return newer
  end
  local token = redis.call('HMGET', TOKEN, 'version', 'accepted')
  if not token[1] then
    return { now, 'none' }
  end
  if tonumber(token[1]) ~= held then
    return { now, 'older' }
  end
  if accepted == '1' and token[2] ~= '1' then
    redis.call('HSET', TOKEN, 'accepted', '1')
  end
  if life and redis.call('PTTL', TOKEN) > life + TOLERATED then
    redis.call('PEXPIRE', TOKEN, life)
  end
  return { now, (accepted == '1' or token[2] == '1') and 'accepted' or 'same' }
end

-- May the caller ask for a token? Only if nobody has a newer one, nobody is asking, and nobody has just failed.
function operation.take(owner, lease, budget, window, insist)
  lease, budget, window = tonumber(lease), tonumber(budget), tonumber(window)
  local newer = newer_than(held)
  if newer then
    return newer
  end
  local wait = left(FAILURE, window)
  if wait then
    return { now, 'failed', redis.call('GET', FAILURE), wait }
  end
  wait = left(THROTTLED, window)
  if wait then
    return { now, 'throttled', wait }
  end
  local whose, taken_over = holder(owner)
  local mark = ''
  if whose == 'theirs' then
    wait = left(LEASE, lease)
    if wait and (insist ~= '1' or taken_over) then
      return { now, 'busy', wait }
    end
    -- Once: whoever it is taken over by is waited for.
    mark = wait and '!' or ''
  end
  if not redis.call('ZSCORE', SPENT, owner) then
    wait = until_allowed(budget, window)
    if wait then
      return { now, 'spent', wait }
    end
    redis.call('ZADD', SPENT, now, owner)
    redis.call('PEXPIRE', SPENT, window + lease)
  end
  redis.call('SET', LEASE, owner .. mark, 'PX', lease)
  return { now, 'mine' }
end

-- Puts the token that the caller has in the place of an older one, and ends the caller's lease.
-- Its end is given by the store's clock, because a command may be late, and as what is left, because clocks jump.
function operation.publish(owner, accepted, sealed, expires, life)
  ended(owner)
  expires = math.min(tonumber(expires), now + tonumber(life))
  if not newer_than(held - 1) and expires > now then
    redis.call('HSET', TOKEN, 'version', ARGV[2], 'accepted', accepted, 'sealed', sealed)
    redis.call('PEXPIREAT', TOKEN, expires)
    redis.call('UNLINK', FAILURE)
  end
  if holder(owner) == 'mine' then
    redis.call('UNLINK', LEASE)
  end
  return newer_than(held) or { now, 'none' }
end

-- Ends the caller's lease without a token. The others learn why, unless one of them is ahead of the caller.
function operation.fail(owner, failure, wait, cool_down, refund)
  ended(owner)
  if refund == '1' then
    redis.call('ZREM', SPENT, owner)
  end
  if tonumber(cool_down) > 0 then
    redis.call('SET', THROTTLED, '1', 'PX', cool_down)
  end
  local newer = newer_than(held)
  local whose = holder(owner)
  if not newer and whose ~= 'theirs' and tonumber(wait) > 0 then
    redis.call('SET', FAILURE, failure, 'PX', wait)
  end
  if whose == 'mine' then
    redis.call('UNLINK', LEASE)
  end
  return newer or { now, 'none' }
end

-- Deletes a token or a failure that does not open, if it is still the same.
function operation.discard(sealed)
  if (redis.call('HGET', TOKEN, 'sealed') or '') == sealed then
    redis.call('UNLINK', TOKEN)
  end
  if redis.call('GET', FAILURE) == sealed then
    redis.call('UNLINK', FAILURE)
  end
  return { now, 'none' }
end

return operation[ARGV[1]](unpack(ARGV, 3))
