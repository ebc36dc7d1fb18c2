-- The three correlations of the ssh-bruteforce scenario, computed from the audit rows by SQL alone: an oracle that
-- shares no code with the engine. It evaluates EXACTNESS X10.2-X10.7 by brute force at every instant where the
-- condition can change (an event enters at t, leaves after t + span, a frame begins).
-- Times are integer milliseconds; ids are compared bytewise, as the engine does.
create temporary table oracle_event as
select
  case attrs -> 'fields' ->> 'event_type' when 'auth.password.failed' then 'failed' else 'accepted' end as step,
  attrs -> 'fields' ->> 'ip' as ip,
  attrs -> 'fields' ->> 'user' as username,
  event_id,
  (extract(epoch from event_time) * 1000)::bigint as at_ms
from audit.event
where kind = 'event' and not is_duplicate
  and attrs -> 'fields' ->> 'event_type' in ('auth.password.failed', 'auth.accepted')
  and attrs -> 'fields' ->> 'ip' is not null;

-- One line per rule and the events it looks at.
create temporary table hit as (
  select 'event_count'::text as rule, ip, event_id, at_ms, step, null::text as value from oracle_event where step = 'failed'
  union all
  select 'value_count', ip, event_id, at_ms, step, username from oracle_event where step = 'failed' and username is not null
  union all
  select 'temporal_ordered', ip, event_id, at_ms, step, null from oracle_event
);
create index on hit (rule, ip, at_ms);
analyze hit;

with parameter as (
  select 900000::bigint as span_ms, 86400000::bigint as frame_ms, 5 as n
),
range as (
  select rule, ip, min(at_ms) as low, max(at_ms) as high from hit group by rule, ip
),
instant as (
  select rule, ip, at_ms as p from hit
  union
  select rule, ip, at_ms + span_ms + 1 from hit, parameter
  union
  select rule, ip, k * frame_ms
  from range, parameter, generate_series(low / frame_ms + 1, (high + span_ms) / frame_ms) as k
),
judged as (
  select i.rule, i.ip, i.p,
    lead(i.p) over (partition by i.rule, i.ip order by i.p) - 1 as until,
    case i.rule
      when 'event_count' then (
        select count(*) >= n from hit h where h.rule = i.rule and h.ip = i.ip and h.at_ms between i.p - span_ms and i.p)
      when 'value_count' then (
        select count(distinct h.value) >= n from hit h where h.rule = i.rule and h.ip = i.ip and h.at_ms between i.p - span_ms and i.p)
      else exists (
        select from hit a join hit b on b.rule = a.rule and b.ip = a.ip and b.step = 'accepted' and a.at_ms <= b.at_ms
        where a.rule = i.rule and a.ip = i.ip and a.step = 'failed'
          and a.at_ms between i.p - span_ms and i.p and b.at_ms between i.p - span_ms and i.p)
    end as holds
  from instant i, parameter
),
-- Episodes: stretches on which the condition holds, joined over gaps of at most a span, cut at frame starts.
stretch as (
  select rule, ip, p, until,
    case when p - lag(until) over w <= span_ms and p / frame_ms = lag(p) over w / frame_ms then 0 else 1 end as begins
  from judged, parameter
  where holds and until is not null
  window w as (partition by rule, ip order by p)
),
numbered as (
  select rule, ip, p, until, sum(begins) over (partition by rule, ip order by p) as episode from stretch
),
episode as (
  select rule, ip, episode, min(p) as t0, max(until) as last_at from numbered group by rule, ip, episode
),
-- Evidence at the left end t0 (X10.5, X10.6).
seen as (
  select e.rule, e.ip, e.episode, e.t0, h.event_id, h.at_ms, h.step, h.value
  from episode e
  join hit h on h.rule = e.rule and h.ip = e.ip
  cross join parameter
  where h.at_ms between e.t0 - span_ms and e.t0
),
counted as (
  select rule, ip, episode, event_id, at_ms
  from (
    select s.*, row_number() over (partition by rule, ip, episode order by at_ms, event_id) as place
    from seen s where rule = 'event_count'
  ) ordered, parameter
  where place <= n
),
distinct_values as (
  select rule, ip, episode, event_id, at_ms
  from (
    select s.*,
      row_number() over (
        partition by rule, ip, episode, value
        order by
          (at_ms / span_ms < t0 / span_ms) desc,                                       -- an earlier bucket wins,
          case when at_ms / span_ms < t0 / span_ms then at_ms end desc nulls last,     -- with its last hit,
          case when at_ms / span_ms < t0 / span_ms then event_id end desc nulls last,
          at_ms, event_id                                                              -- else the first of this bucket
      ) as place
    from seen s, parameter where rule = 'value_count'
  ) ordered
  where place = 1
),
last_step as (
  select distinct on (b.rule, b.ip, b.episode) b.rule, b.ip, b.episode, b.event_id, b.at_ms
  from seen b
  where b.rule = 'temporal_ordered' and b.step = 'accepted'
    and exists (select from seen a where a.rule = b.rule and a.ip = b.ip and a.episode = b.episode and a.step = 'failed' and a.at_ms <= b.at_ms)
  order by b.rule, b.ip, b.episode, b.at_ms desc, b.event_id desc
),
first_step as (
  select distinct on (a.rule, a.ip, a.episode) a.rule, a.ip, a.episode, a.event_id, a.at_ms
  from seen a join last_step b using (rule, ip, episode)
  where a.step = 'failed' and a.at_ms <= b.at_ms
  order by a.rule, a.ip, a.episode, a.at_ms desc, a.event_id desc
),
evidence as (
  select * from counted
  union all select * from distinct_values
  union all select * from last_step
  union all select * from first_step
)
select
  case e.rule
    when 'event_count' then '11111111-0000-4000-8000-000000000011'
    when 'value_count' then '11111111-0000-4000-8000-000000000012'
    else '11111111-0000-4000-8000-000000000013'
  end as rule,
  e.ip as "group", min(v.at_ms)::bigint as first_at, e.last_at::bigint as last_at, array_agg(v.event_id order by v.event_id) as event_ids
from episode e join evidence v using (rule, ip, episode)
group by e.rule, e.ip, e.episode, e.last_at
order by e.rule, e.ip, e.last_at;
