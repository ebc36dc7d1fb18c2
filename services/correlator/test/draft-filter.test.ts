import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DraftFilterFlags, runRulesDraftFilter } from '@tracehound/cli';
import { afterEach, describe, expect, it } from 'vitest';
import { type CorrelatorWorld, correlatorWorld } from './correlator-world.fixture.ts';
import { attack, oracleLines, TEST_RULES } from './events.fixture.ts';

const undo: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

/** What correlators make of the events, from the first record to the last. */
async function played(files: typeof TEST_RULES, events: ReturnType<typeof attack>): Promise<CorrelatorWorld> {
  const made = await correlatorWorld({ files });
  undo.push(() => made.close());
  await made.app();
  await made.send(events);
  await made.endInput();
  await made.settled();
  return made;
}

describe('R-212 a verdict drafts a filter', { timeout: 240_000 }, () => {
  it('from an alert on real servers; with it the same events say less, in that organization alone', async () => {
    const endMs = Date.now();
    const mallory = attack({ name: 'mallory', endMs });
    const trudy = attack({ name: 'trudy', endMs });
    const elsewhere = attack({ name: 'elsewhere', endMs, organization: 'umbrella' }).map((event) => ({
      ...event,
      actor: 'mallory-actor',
      address: 'mallory-address',
    }));
    const events = [...mallory, ...trudy, ...elsewhere];
    const { kafka, admin, codec, namespace, alerts, finals } = await played(TEST_RULES, events);
    expect(await finals()).toEqual(oracleLines(events));
    const theirs = (await alerts()).find(
      ({ kind, rule, group }) =>
        kind === 'FINAL' && rule.rule_id === 'many_failures' && group[0]?.value === 'mallory-actor',
    );

    const folder = await mkdtemp(join(tmpdir(), 'tracehound-draft-'));
    undo.push(() => rm(folder, { recursive: true }));
    const out = join(folder, 'filter.yml');
    const notes: string[] = [];
    const context = {
      ...{ kafka, admin, codec, namespace, now: Date.now },
      terminal: { out: () => undefined, note: (text: string) => void notes.push(text) },
    };
    const answered = { owner: 'ada', reason: 'ticket 9', expires: '2099-01-31' };
    const flags: DraftFilterFlags = { alert: theirs?.alert_id ?? '', ...answered, out, preview: true };
    expect(theirs?.organization_id).toMatch(/^(acme|umbrella)$/);
    expect(await runRulesDraftFilter(flags, context), notes.join('\n')).toBe(0);
    expect(notes[0]).toMatch(/^leaves out (\d+) of \1 events of the evidence: /);

    // What is left out are failed logins of one actor of one organization; everything else is as it was.
    const organization = theirs?.organization_id;
    const left = events.filter(
      (event) =>
        event.kind !== 'login_failed' || event.actor !== 'mallory-actor' || event.organization !== organization,
    );
    const filter = { path: 'filter.yml', content: await readFile(out, 'utf8') };
    const filtered = await played([...TEST_RULES, filter], events);
    expect(await filtered.finals()).toEqual(oracleLines(left));
    expect(oracleLines(left).length).toBeLessThan(oracleLines(events).length);
  });
});
