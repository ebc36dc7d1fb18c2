#!lua name=tracehound_b_v1
-- State of one partition of security.matches (EXACTNESS X8): one atomic, fenced call per acquire and per flush.
--
-- KEYS  1 {[ns.]p<n>}:meta    hash: topic_id, epoch, nonce, flush_seq, next, engine, groups, outbox
--       2 {[ns.]p<n>}:groups  hash: group id -> versioned blob
--       3 {[ns.]p<n>}:outbox  list: encoded records that wait for their acknowledgement
--
-- Names carry the protocol version: function names are unique over all libraries of a server, so two versions of
-- the correlator can run side by side during a rolling upgrade. Only absolute values are written, never increments
-- of state, so that a flush either lands whole or not at all and a retried one cannot count twice.

-- `unpack` puts its values on the Lua stack, whose limit is 7,999 slots: 4,000 values per call stay well below.
local CHUNK = 4000

local function call_chunked(command, key, args, first, last)
  while first <= last do
    local stop = math.min(first + CHUNK - 1, last)
    redis.call(command, key, unpack(args, first, stop))
    first = stop + 1
  end
end

-- Takes the partition: a new epoch and the caller's random nonce, before anything is read (X8). Whatever an earlier
-- owner, or an earlier life of this one, still has in flight is fenced from here on.
-- ARGV  1 nonce, 2 topic id of security.matches, 3 backstop ttl in ms, 4 '1' = forget the state
-- Returns {epoch, flush_seq, status, next, engine, group count, outbox}; status is 'held', 'empty', 'other_topic'
-- (the topic was deleted and made again) or 'partial' (the server lost some keys of the partition but not all).
local function acquire(keys, args)
  local meta, groups, outbox = keys[1], keys[2], keys[3]
  local known = redis.call('HMGET', meta, 'topic_id', 'next', 'groups', 'outbox')
  local status = 'held'
  if not known[2] then
    status = 'empty'
  elseif known[1] ~= args[2] then
    status = 'other_topic'
  elseif redis.call('HLEN', groups) ~= tonumber(known[3]) or redis.call('LLEN', outbox) ~= tonumber(known[4]) then
    status = 'partial'
  end
  if status ~= 'held' or args[4] == '1' then
    redis.call('UNLINK', groups, outbox)
    redis.call('HDEL', meta, 'next', 'engine', 'flush_seq')
    redis.call('HSET', meta, 'groups', '0', 'outbox', '0')
  end
  local epoch = redis.call('HINCRBY', meta, 'epoch', 1)
  redis.call('HSET', meta, 'nonce', args[1], 'topic_id', args[2])
  redis.call('HSETNX', meta, 'flush_seq', '0')
  redis.call('PEXPIRE', meta, args[3])
  local now = redis.call('HMGET', meta, 'flush_seq', 'next', 'engine', 'groups')
  return {
    tostring(epoch), now[1], status, now[2], now[3], now[4], redis.call('LRANGE', outbox, 0, -1),
  }
end

-- Reads a page of the groups of a held partition. Every page proves that the caller still owns the state it is
-- loading: without that, pages of two timelines could mix, and a roll-back of the server to the caller's epoch would
-- then let it write the mixture (found by the simulation of the correlator).
-- ARGV  1 epoch, 2 nonce, 3 flush_seq, 4 cursor, 5 about how many groups
-- Returns {'OK', cursor, {id, blob, ...}}, {'FENCED'} or {'MISSING'}.
local function groups(keys, args)
  local fence = redis.call('HMGET', keys[1], 'epoch', 'nonce', 'flush_seq')
  if not fence[1] then return { 'MISSING' } end
  if fence[1] ~= args[1] or fence[2] ~= args[2] or fence[3] ~= args[3] then return { 'FENCED' } end
  local page = redis.call('HSCAN', keys[2], args[4], 'COUNT', args[5])
  return { 'OK', page[1], page[2] }
end

-- Reads single groups of a held partition: those that its owner has let go cold. The fence proves that nothing has been written
-- since the owner's last flush, so the blobs are what it let go.
-- ARGV  1 epoch, 2 nonce, 3 flush_seq, then group ids
-- Returns {'OK', {blob, ...}} in the order of the ids, {'FENCED'}, or {'MISSING'} when the server lost one of them.
local function read(keys, args)
  local fence = redis.call('HMGET', keys[1], 'epoch', 'nonce', 'flush_seq')
  if not fence[1] then return { 'MISSING' } end
  if fence[1] ~= args[1] or fence[2] ~= args[2] or fence[3] ~= args[3] then return { 'FENCED' } end
  local blobs = {}
  for first = 4, #args, CHUNK do
    local page = redis.call('HMGET', keys[2], unpack(args, first, math.min(first + CHUNK - 1, #args)))
    for _, blob in ipairs(page) do
      if not blob then return { 'MISSING' } end
      blobs[#blobs + 1] = blob
    end
  end
  return { 'OK', blobs }
end

-- Writes one flush, strictly compared and swapped on (epoch, nonce, flush_seq).
-- ARGV  1 epoch, 2 nonce, 3 flush_seq, 4 next offset, 5 engine blob, 6 outbox entries to trim, 7 backstop ttl in ms,
--       8 n groups to set, 9 n groups to delete, 10 n outbox entries, then 2n, n and n values
-- Returns 'OK', 'FENCED' (somebody else, or another life of the caller, owns the partition; or the server was rolled
-- back) or 'MISSING' (the server has lost the partition, or a part of it).
local function flush(keys, args)
  local meta, groups, outbox = keys[1], keys[2], keys[3]
  local fence = redis.call('HMGET', meta, 'epoch', 'nonce', 'flush_seq', 'groups', 'outbox')
  if not fence[1] then return 'MISSING' end
  if fence[1] ~= args[1] or fence[2] ~= args[2] or fence[3] ~= args[3] then return 'FENCED' end
  if redis.call('HLEN', groups) ~= tonumber(fence[4]) or redis.call('LLEN', outbox) ~= tonumber(fence[5]) then
    return 'MISSING'
  end
  local trim, n_set, n_del, n_out = tonumber(args[6]), tonumber(args[8]), tonumber(args[9]), tonumber(args[10])
  if redis.call('LLEN', outbox) < trim then return 'MISSING' end

  local at = 11
  call_chunked('HSET', groups, args, at, at + 2 * n_set - 1)
  at = at + 2 * n_set
  call_chunked('HDEL', groups, args, at, at + n_del - 1)
  at = at + n_del
  if trim > 0 then redis.call('LTRIM', outbox, trim, -1) end
  call_chunked('RPUSH', outbox, args, at, at + n_out - 1)
  redis.call('HSET', meta, 'flush_seq', string.format('%d', tonumber(args[3]) + 1), 'next', args[4], 'engine', args[5],
    'groups', redis.call('HLEN', groups), 'outbox', redis.call('LLEN', outbox))
  redis.call('PEXPIRE', meta, args[7])
  redis.call('PEXPIRE', groups, args[7])
  redis.call('PEXPIRE', outbox, args[7])
  return 'OK'
end

redis.register_function('tracehound_b_v1_acquire', acquire)
redis.register_function('tracehound_b_v1_groups', groups)
redis.register_function('tracehound_b_v1_read', read)
redis.register_function('tracehound_b_v1_flush', flush)
