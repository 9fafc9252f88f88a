-- A meeting: one process says how its participants are, and hears how they are for the others.
-- KEYS  1 members  2 turns of breakers  3 probes  4 buckets of calls
-- ARGV  1 the process  2 what it says, as JSON
-- Times are milliseconds of this server's clock. Nothing outlives the last meeting by more than FORGOTTEN.
local ALIVE, TURN, PROBE, FORGOTTEN = 3000, 10000, 3000, 600000

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local me, said = ARGV[1], cjson.decode(ARGV[2])

redis.call('ZADD', KEYS[1], now, me)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ALIVE)
local members = redis.call('ZCARD', KEYS[1])

local function kept(key, name)
  local text = redis.call('HGET', key, name)
  local value = text and cjson.decode(text)
  return value and value.expires > now and value or nil
end

local function keep(key, name, value)
  redis.call('HSET', key, name, cjson.encode(value))
end

-- A turn that came about there is kept, unless it would undo what a person did. Who goes along with a turn keeps it.
local function turned(name, say, hear)
  local turn = kept(KEYS[2], name)
  local own = say.turn
  if own and (say.is_new or not turn) then
    local barred = turn and turn.by_hand and turn.stage == 'open' and not own.by_hand
    if not barred then
      turn = {id = say.turn_id, stage = own.stage, by_hand = own.by_hand, opened = own.opened, began = now - own.ago}
      if own.left >= 0 then turn.till = now + own.left end
    end
  end
  if not turn then return end
  if own and turn.id == say.turn_id then
    turn.expires = now + TURN
    keep(KEYS[2], name, turn)
  elseif turn.id ~= say.heard and turn.id ~= say.turn_id then
    local left = -1
    if turn.till then left = math.max(0, turn.till - now) end
    hear.turn_id = turn.id
    hear.turn = {
      stage = turn.stage, by_hand = turn.by_hand, opened = turn.opened, left = left, ago = math.max(0, now - turn.began)
    }
  end
end

-- One process at a time tries a participant that was down.
local function probed(name, say, hear)
  local probe = kept(KEYS[3], name)
  local mine = probe and probe.process == me
  if say.probe and (mine or not probe) then
    keep(KEYS[3], name, {process = me, expires = now + PROBE})
    hear.probe = true
  elseif mine then
    redis.call('HDEL', KEYS[3], name)
  end
end

-- Calls come from one bucket; while others are there nobody takes all that is in it.
local function granted(name, wish, hear)
  local bucket = kept(KEYS[4], name) or {level = wish.burst, at = now}
  local level = math.min(wish.burst, bucket.level + math.max(0, now - bucket.at) / 1000 * wish.rate)
  if wish.calls < 0 then
    level = math.min(wish.burst, level - wish.calls)
  elseif level >= 1 then
    hear.calls = math.min(wish.calls, math.max(1, math.floor(level / members)))
    level = level - hear.calls
  end
  keep(KEYS[4], name, {level = level, at = now, expires = now + FORGOTTEN})
end

local heard = {}
for name, say in pairs(said) do
  local hear = {probe = false, calls = 0, turn_id = ''}
  turned(name, say, hear)
  probed(name, say, hear)
  if say.wish then granted(name, say.wish, hear) end
  heard[name] = hear
end
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, FORGOTTEN) end
return cjson.encode({members = members, heard = heard})
