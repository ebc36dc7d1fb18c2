#!lua name=tracehound_enrich_v1

-- States of enrichers of the gateway: each is written only over the one it was made from, so that of two gateways that saw one
-- account at once the second hears of the first.
-- KEYS: states. ARGV, three for each key: the text before ('' for none), the new text, time to live in ms.
-- Returns, for each key, 1 when it was written, else the text that is there ('' for none).
local function swap(keys, args)
  local answers = {}
  for i, key in ipairs(keys) do
    local before, after, ttl = args[3 * i - 2], args[3 * i - 1], args[3 * i]
    local now = redis.call('GET', key) or ''
    if now == before then
      redis.call('SET', key, after, 'PX', ttl)
      answers[i] = 1
    else
      answers[i] = now
    end
  end
  return answers
end

redis.register_function('tracehound_enrich_v1_swap', swap)
