import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { publishRuleSet, runExplainAlert, runRecover, runReplay, runRulesApply } from '@tracehound/cli';
import { sfc32, waitFor } from '@tracehound/testkit';
import { afterEach, describe, expect, it } from 'vitest';
import { type CorrelatorWorld, correlatorWorld } from './correlator-world.fixture.ts';
import { attack, CHAIN_RULES, mixedEvents, OVERRIDE_RULES, oracleLines, TEST_RULES } from './events.fixture.ts';

const worlds: CorrelatorWorld[] = [];
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.close();
});

async function world(options: Parameters<typeof correlatorWorld>[0] = {}): Promise<CorrelatorWorld> {
  const made = await correlatorWorld(options);
  worlds.push(made);
  return made;
}

function quietTerminal() {
  const lines: string[] = [];
  const terminal = {
    out: (line: string) => void lines.push(line),
    note: () => undefined,
    noteColours: false,
    outColours: false,
    width: 100,
  };
  return { lines, terminal };
}

/** What `replay --diff-live` says of the whole log; it must find no difference. */
async function replayed({ kafka, admin, codec, namespace }: CorrelatorWorld): Promise<string> {
  const { lines, terminal } = quietTerminal();
  const context = { kafka, admin, codec, namespace, terminal, stdout: new Writable(), now: Date.now };
  expect(await runReplay({ diffLive: true, format: 'table' }, context), lines.join('\n')).toBe(0);
  return lines.join('\n');
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

describe('events to alerts on real servers', () => {
  it('E1 E2 gives the alerts of the oracle for attacks among noise', async () => {
    const made = await world();
    const random = sfc32(20_261);
    const endMs = Date.now();
    const events = [
      ...attack({ name: 'mallory', endMs }),
      ...mixedEvents({ random, count: 400, endMs, spreadMs: 120_000 }),
    ];
    await made.app();
    await made.send(random.shuffle(events));
    await made.endInput();
    await made.settled();
    const wanted = oracleLines(events);
    expect(wanted.length).toBeGreaterThan(10);
    expect(await made.finals()).toEqual(wanted);
    expect(await made.brokenE1()).toEqual([]);
  });

  it('R-212 another number in one organization: both equal the oracle, in the same stream', async () => {
    const made = await world({ files: OVERRIDE_RULES });
    await made.app();
    const endMs = Date.now();
    const events = mixedEvents({ random: sfc32(212), count: 400, endMs, spreadMs: 90_000 });
    await made.send(events);
    await made.endInput();
    await made.settled();
    const wanted = oracleLines(events, { 'many_failures|umbrella': 5 });
    const of = (organization: string, lines: readonly string[]) =>
      lines.filter((line) => line.startsWith(`["many_failures","${organization}"`));
    expect(of('umbrella', wanted).length).toBeLessThan(of('umbrella', oracleLines(events)).length);
    expect(of('umbrella', wanted).length).toBeGreaterThan(0);
    expect(await made.finals()).toEqual(wanted);
    expect(await made.brokenE1()).toEqual([]);
    const { kafka, admin, codec, namespace } = made;
    const { lines, terminal } = quietTerminal();
    const context = { kafka, admin, codec, namespace, terminal, now: Date.now };
    const theirs = (await made.alerts()).find(
      (alert) =>
        alert.kind === 'FINAL' && alert.organization_id === 'umbrella' && alert.rule.rule_id === 'many_failures',
    );
    expect(await runExplainAlert({ alert: theirs?.alert_id ?? '', format: 'table' }, context)).toBe(0);
    expect(lines.join('\n')).toMatch(/override in umbrella: 'Umbrella is clumsy' \(overrides\.yml:1\)/);
  });

  it('X11 chains and expected groups: windows of several partitions feed each other', async () => {
    const made = await world({ files: CHAIN_RULES });
    await Promise.all([made.app(), made.app()]);
    const endMs = Date.now();
    const events = [
      ...['mallory', 'trudy'].flatMap((name) => attack({ name, endMs })),
      // The export comes first: no chain.
      ...attack({ name: 'early', endMs }).map((event) =>
        event.kind === 'export' ? { ...event, timeMs: event.timeMs - 60_000 } : event,
      ),
      // The family of the expected group begins, and goes on elsewhere.
      ...[120_000, 60_000].map((agoMs) => ({
        ...attackEvent(`ok-${agoMs}`),
        kind: 'login_ok' as const,
        timeMs: endMs - agoMs,
      })),
    ];
    await made.send(events);
    await made.endInput();
    await made.settled();
    expect(await made.brokenE1()).toEqual([]);
    const finals = (await made.finals()).map(
      (line) => JSON.parse(line) as [string, string, string | null, number, number, string[]],
    );
    const of = (rule: string) => finals.filter(([id]) => id === rule);
    const opened = new Map((await made.alerts()).map(({ alert_id, rule }) => [alert_id, rule.rule_id]));
    const guessed = of('guessed_export');
    expect(guessed.map(([, , group]) => group)).toEqual(['mallory-actor', 'trudy-actor']);
    for (const [, , group, , , ids] of guessed) {
      const [chain, ...others] = ids.filter((id) => id.startsWith('chain:'));
      expect(others).toEqual([]);
      // The hit is named by the inner alert.
      expect(opened.get(chain?.slice('chain:'.length) ?? '')).toBe('many_failures');
      expect(ids).toContain(`${group?.replace('-actor', '')}-5`);
    }
    // X10.3: true for an hour; what of it lies behind midnight belongs to the next frame and is said there.
    const frames = Math.floor((endMs + HOUR_MS) / DAY_MS) - Math.floor(endMs / DAY_MS) + 1;
    expect(of('twice')).toHaveLength(frames);
    expect(of('silent').map(([, organization, group]) => `${organization} ${group}`)).toEqual(
      expect.arrayContaining(['acme quiet-actor']),
    );
    expect(new Set(of('silent').map((line) => JSON.stringify(line))).size).toBe(of('silent').length);
  });

  it('X4 an idle system still ends its episodes: markers carry the time', async () => {
    const files = TEST_RULES.map(({ path, content }) => ({
      path,
      content: content.replaceAll(/timespan: \d+s/g, 'timespan: 1s'),
    }));
    const made = await world({ files, latenessMs: 500 });
    await made.app();
    const now = Date.now();
    await made.send([0, 1, 2].map((i) => ({ ...attackEvent(`idle-${i}`), timeMs: now - 100 * i })));
    const kinds = await waitFor(
      async () => {
        const alerts = await made.alerts();
        return alerts.some((alert) => alert.kind === 'END') && alerts.map((alert) => alert.kind);
      },
      { what: 'the end of an episode without an end of input' },
    );
    expect(kinds).toContain('OPEN');
    expect(kinds).toContain('FINAL');
  });

  it('X3 a late event goes to security.late with its payload and into no alert', async () => {
    const made = await world({ latenessMs: 60_000 });
    await made.app();
    const endMs = Date.now();
    const events = attack({ name: 'late', endMs, size: 4 });
    const tooLate = events.slice(0, 3).map((event) => ({ ...event, timeMs: event.timeMs - 3_600_000 }));
    await made.send([...tooLate, ...events.slice(3)]);
    await made.endInput();
    await made.settled();
    const late = await made.records('security.late');
    const decoded = await Promise.all(late.map(async (record) => made.codec.decode(record.value ?? Buffer.alloc(0))));
    expect(late.map((record) => record.key?.toString()).sort()).toEqual(tooLate.map(({ id }) => `acme|${id}`));
    for (const { name, value } of decoded) {
      expect(name).toBe('tracehound.pipeline.v1.LateEvent');
      expect(value).toMatchObject({ stage: 'A', allowed_ms: 60_000, organization_id: 'acme' });
      expect('payload' in value && Buffer.isBuffer(value.payload)).toBe(true);
    }
    expect(await made.finals()).toEqual(oracleLines(events.slice(3)));
  });

  it('X7 E2 rules change in the stream: what stayed keeps its windows, what changed begins anew, and a replay agrees', async () => {
    const made = await world({ latenessMs: 60_000 });
    await made.app();
    const { kafka, codec, namespace } = made;
    // Two failures before the switch and one after it: three for whoever kept its windows.
    const failure = (name: string, actor: string) => ({
      ...attackEvent(name),
      actor,
      address: actor,
      timeMs: Date.now(),
    });
    await made.send([failure('before-1', 'x'), failure('before-2', 'x')]);
    const files = TEST_RULES.map(({ path, content }) => ({
      path,
      // A new title is no change; another threshold is one.
      content: content
        .replace('title: Many failed logins', 'title: Renamed')
        .replace('condition: {gte: 3, field: actor.id}', 'condition: {gte: 2, field: actor.id}'),
    }));
    const { effectiveAtMs, changed } = await publishRuleSet({
      kafka,
      codec,
      namespace,
      files,
      latenessMs: 60_000,
      principal: 'test',
    });
    expect(changed).toBe(true);
    await waitFor(async () => Date.now() > effectiveAtMs + 500, { what: 'the switch', timeoutMs: 20_000 });
    await made.send([failure('after-1', 'x'), failure('after-2', 'y'), failure('after-3', 'z')]);
    await made.endInput();
    await made.settled();
    expect(await made.brokenE1()).toEqual([]);
    const finals = (await made.alerts()).filter(({ kind }) => kind === 'FINAL');
    const kept = finals.filter(({ rule }) => rule.rule_id === 'many_failures');
    expect(kept.map(({ rule, event_ids }) => [rule.title, event_ids])).toEqual([
      ['Renamed', ['after-1', 'before-1', 'before-2']],
    ]);
    expect(await replayed(made)).toContain(`final alerts: ${finals.length} the same, 0 missing live, 0 only live`);
  });

  it('X12 what a set changes warms up from the log: heard by nobody until the cut-over, with full windows then', async () => {
    const made = await world({ latenessMs: 60_000 });
    await made.app();
    const failure = (name: string, at: string) => ({
      ...attackEvent(name),
      ...{ actor: name, address: at, timeMs: Date.now() },
    });
    const folder = await mkdtemp(join(tmpdir(), 'tracehound-warm-up-'));
    for (const { path, content } of TEST_RULES) {
      const changed = content.replace('condition: {gte: 3, field: actor.id}', 'condition: {gte: 2, field: actor.id}');
      await writeFile(join(folder, path), changed);
    }
    const { terminal, lines } = quietTerminal();
    const live = { ...made, terminal, principal: 'test', now: Date.now };
    await runRulesApply({ paths: [folder], lateness: '60s', warmUp: '3s', format: 'table' }, live);
    await rm(folder, { recursive: true });
    const cutOverMs = Date.parse(/takes effect at (\S+),/.exec(lines.join('\n'))?.[1] ?? '');
    await waitFor(async () => Date.now() > cutOverMs - 2_500, { what: 'the warm-up', timeoutMs: 20_000 });
    await made.send([failure('during-1', 'straddled'), failure('trial-1', 'trial'), failure('trial-2', 'trial')]);
    await waitFor(async () => Date.now() > cutOverMs + 500, { what: 'the cut-over', timeoutMs: 20_000 });
    const early = await made.records('security.alerts');
    await made.send([failure('after-1', 'straddled')]);
    await made.endInput();
    await made.settled();
    expect(early).toEqual([]);
    expect(await made.brokenE1()).toEqual([]);
    const finals = (await made.alerts()).filter(({ kind }) => kind === 'FINAL');
    // Half of the attack came before the cut-over.
    expect(finals.map(({ event_ids }) => event_ids)).toContainEqual(['after-1', 'during-1']);
    // What fired on trial opened in the shadow.
    const onTrial: (readonly string[])[] = [];
    for (const { value } of await made.records('security.shadow')) {
      const decoded = await made.codec.decode(value ?? Buffer.alloc(0));
      if (decoded.name === 'tracehound.pipeline.v1.CorrelationAlert') onTrial.push(decoded.value.event_ids);
    }
    expect(onTrial).toContainEqual(['trial-1', 'trial-2']);
    expect(await replayed(made)).toContain('0 missing live, 0 only live');
  });

  it('X3 the recovery pass says what late events make true, once, and supersedes what was said of a part', async () => {
    const made = await world({ latenessMs: 60_000 });
    await made.app();
    const endMs = Date.now();
    // Of one attack everything is late; of another the first half, so that the live alert began later.
    const whole = attack({ name: 'spooled', endMs: endMs - 3_600_000, size: 4 });
    const kept = [0, 1, 2, 3].map((index) => ({
      ...attackEvent(`kept-${index}`),
      actor: 'kept',
      timeMs: endMs - 40_000 + index,
    }));
    const spooled = [4, 5, 6].map((index) => ({
      ...attackEvent(`kept-${index}`),
      actor: 'kept',
      timeMs: endMs - 70_000 + index,
    }));
    await made.send([...whole, ...spooled, ...kept]);
    await made.endInput();
    await made.settled();
    const live = await made.finals();
    expect(live).toEqual(oracleLines(kept));
    const recover = async (flags: object = {}, more: object = {}): Promise<readonly string[]> => {
      const notes: string[] = [];
      const { kafka, admin, codec, namespace } = made;
      const context = { kafka, admin, codec, namespace, ...more };
      const terminal = { out: (text: string) => void said.push(text), note: (line: string) => void notes.push(line) };
      await runRecover({ format: 'table', ...flags }, { ...context, clusterId: 'local', terminal, now: Date.now });
      return notes;
    };
    const said: string[] = [];
    const all = oracleLines([...whole, ...spooled, ...kept]);
    const added = all.filter((line) => !live.includes(line));
    expect(added.length).toBeGreaterThan(1);
    expect(await recover({ dryRun: true })).toEqual([
      `9 late events, ${added.length} alerts would be said, 0 said before`,
    ]);
    said.length = 0;
    expect(await recover({ estimate: true, format: 'json' })).toEqual([]);
    expect(JSON.parse(said[0] ?? '')).toMatchObject({ kind: 'estimate', sample: { is_all: true } });
    expect(await recover({}, { stopped: () => true })).toEqual(['interrupted: nothing was said']);
    expect(await made.finals()).toEqual(live);
    expect(await recover()).toEqual([`9 late events, ${added.length} alerts said, 0 said before`]);
    expect(await recover()).toEqual([`9 late events, 0 alerts said, ${added.length} said before`]);
    const log = await made.alerts();
    expect(log.filter(({ kind, recovered }) => kind === 'FINAL' && recovered)).toHaveLength(added.length);
    const gone = new Set(log.filter(({ recovered }) => recovered).flatMap(({ supersedes }) => supersedes));
    const highest = new Map<string, (typeof log)[number]>();
    for (const alert of log) {
      if (alert.kind !== 'FINAL' || gone.has(alert.alert_id)) continue;
      if ((highest.get(alert.alert_id)?.revision ?? 0) < alert.revision) highest.set(alert.alert_id, alert);
    }
    expect(new Set([...highest.values()].map(({ event_ids }) => event_ids.join()))).toEqual(
      new Set(all.map((line) => (JSON.parse(line) as [string, string, string, number, number, string[]])[5].join())),
    );
    for (const alert of log)
      if (gone.has(alert.alert_id) && alert.recovered) expect(alert.superseded_by).not.toBeNull();
  });

  it('findings of rules that no correlation stands on, with the same id in every copy', async () => {
    const made = await world();
    await made.app();
    const event = { ...attackEvent('glass'), kind: 'break_glass' as const };
    await made.send([event, event, attackEvent('part')]);
    const findings = await waitFor(
      async () => {
        const found = await made.records('security.findings');
        return found.length >= 2 && found;
      },
      { what: 'two findings of one event' },
    );
    expect(new Set(findings.map((record) => record.key?.toString())).size).toBe(1);
    const decoded = await made.codec.decode(findings[0]?.value ?? Buffer.alloc(0));
    expect(decoded.value).toMatchObject({ event_id: 'glass', rule: { rule_id: 'break_glass', type: 'detection' } });
  });

  it('rules on trial run in full and speak to security.shadow only; what stands on them is not on trial', async () => {
    const onTrial = (content: string): string =>
      content
        .replace('id: many_failures\n', 'id: many_failures\nstatus: experimental\n')
        .replace('id: break_glass\n', 'id: break_glass\nstatus: experimental\n');
    const made = await world({ files: CHAIN_RULES.map(({ path, content }) => ({ path, content: onTrial(content) })) });
    await made.app();
    const endMs = Date.now();
    const events = attack({ name: 'trial', endMs });
    await made.send([...events, { ...attackEvent('glass'), kind: 'break_glass' as const }]);
    await made.endInput();
    await made.settled();
    const shadow = await Promise.all(
      (await made.records('security.shadow')).map(async ({ value }) => made.codec.decode(value ?? Buffer.alloc(0))),
    );
    const rulesOf = (name: string) =>
      new Set(
        shadow.flatMap((one) =>
          one.name.endsWith(name) && 'rule' in one.value ? [(one.value.rule as { rule_id: string }).rule_id] : [],
        ),
      );
    expect(rulesOf('CorrelationAlert')).toEqual(new Set(['many_failures']));
    expect(rulesOf('DetectionFinding')).toEqual(new Set(['break_glass']));
    const said = new Set((await made.alerts()).map(({ rule }) => rule.rule_id));
    expect(said).not.toContain('many_failures');
    expect(said).toContain('guessed_export');
    expect((await made.records('security.findings')).map(({ key }) => key?.toString())).not.toContain('break_glass');
  });

  it('poison-record: undecodable events and matches go to the dead letters and stop nothing', async () => {
    const made = await world();
    await made.app();
    const poison = { key: 'acme|poison', value: Buffer.from('not Avro at all') };
    await made.producer.sendTo({ topic: made.topic('security.events'), partition: 1 }, [poison]);
    await made.producer.sendTo({ topic: made.topic('security.matches'), partition: 2 }, [poison]);
    const events = attack({ name: 'after', endMs: Date.now() });
    await made.send(events);
    await made.endInput();
    await made.settled();
    expect(await made.finals()).toEqual(oracleLines(events));
    for (const [topic, stage] of [
      ['security.events.dlq', 'decode'],
      ['security.matches.dlq', 'decode'],
    ] as const) {
      const [letter, ...more] = await made.records(topic);
      expect(more).toEqual([]);
      expect(letter?.key?.toString()).toBe('acme|poison');
      expect(letter?.headers['th_reason']?.toString()).toBe('undecodable');
      expect(letter?.headers['th_stage']?.toString()).toBe(stage);
      expect(letter?.headers['th_service']?.toString()).toBe('correlator');
      const decoded = await made.codec.decode(letter?.value ?? Buffer.alloc(0));
      expect('payload' in decoded.value && decoded.value.payload).toEqual(poison.value);
    }
  });
});

function attackEvent(id: string) {
  return {
    id,
    kind: 'login_failed' as const,
    organization: 'acme',
    actor: 'actor',
    address: 'address',
    trace: 'ab'.repeat(16),
    timeMs: Date.now(),
  };
}
