import { createJsonFieldView, loadRuleSet } from '@tracehound/sigma';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../usage-error.ts';
import { filterDocument } from './filter-document.ts';
import { chooseFields, type FieldSource } from './filter-fields.ts';

const event = (fields: Readonly<Record<string, unknown>>): FieldSource => {
  const view = createJsonFieldView(fields);
  return { values: (name) => view.values(name), fields: () => Object.keys(fields) };
};
const EVENTS = [
  { event_type: 'x', 'actor.id': 'ann', 'network.ip_hash': 'h1', 'network.user_agent': 'curl', trace_id: 't', n: 5 },
  { event_type: 'x', 'actor.id': 'ann', 'network.ip_hash': 'h2', 'network.user_agent': 'curl', trace_id: 't', n: 5 },
].map(event);

const detection = (name: string, logsource: string, rest = ''): string =>
  `title: ${name}\nid: ${name}\nlogsource: ${logsource}\n${rest}detection: {s: {event_type: x}, condition: s}\n`;
const SET = loadRuleSet([{ path: 'a.yml', content: detection('a', '{product: p, service: s}', 'fields: [n]\n') }]);

const choose = (parts: Partial<Parameters<typeof chooseFields>[0]>) =>
  chooseFields({ events: EVENTS, groupBy: [], detections: [], wanted: [], ...parts });

describe('the fields of a drafted filter', () => {
  it('are those of the group that all share, then who, on what and from where, then what the rule lists', () => {
    const { detections } = SET;
    expect(choose({ detections, groupBy: ['trace_id', 'network.ip_hash', 'organization_id'] })).toEqual([
      { field: 'trace_id', values: ['t'] },
      { field: 'actor.id', values: ['ann'] },
      { field: 'n', values: [5] },
    ]);
  });

  it('are a weaker one when nothing better is shared, and never what the rule asks for itself', () => {
    const weak = [{ event_type: 'x', 'network.user_agent': 'curl', 'source.platform': 'p' }].map(event);
    expect(choose({ events: weak, detections: SET.detections })).toEqual([
      { field: 'network.user_agent', values: ['curl'] },
    ]);
    const none = [{ event_type: 'x', 'actor.id': '' }].map(event);
    expect(() => choose({ events: none, detections: SET.detections })).toThrow(/share no field.*of: event_type$/);
  });

  it('are those wanted, shared or with a value', () => {
    expect(choose({ wanted: ['trace_id', 'network.ip_hash=h2', 'n=5'] })).toEqual([
      { field: 'trace_id', values: ['t'] },
      { field: 'network.ip_hash', values: ['h2'] },
      { field: 'n', values: [5] },
    ]);
    for (const [wanted, why] of [
      ['network.ip_hash', /do not share it, write --field network.ip_hash=VALUE; 2 values: "h1", "h2"$/],
      ['network.ip_hash=h3', /no event of the evidence has that value; 2 values/],
      ['nobody', /no event of the evidence has it; they have: event_type, actor.id/],
    ] as const) {
      expect(() => choose({ wanted: [wanted] })).toThrow(UsageError);
      expect(() => choose({ wanted: [wanted] })).toThrow(why);
    }
  });

  it('have all values that every event has', () => {
    const lists = [{ tags: ['a', 'b', 'c'] }, { tags: ['c', 'a'] }].map(event);
    expect(choose({ events: lists, groupBy: ['tags'] })).toEqual([{ field: 'tags', values: ['a', 'c'] }]);
  });
});

describe('a drafted filter', () => {
  const DRAFT = {
    alertId: '0f3a77c1',
    ruleTitle: 'Many: "failures" #1',
    organization: 'acme',
    detections: [{ id: 'a', logSource: { product: 'p', service: 's', category: null } }],
    fields: [{ field: 'actor.id', values: ['ann'] }],
    owner: '0x10',
    reason: 'ticket: 9\n- more',
    expires: '2027-01-31',
  };

  it('is a document of Sigma with an id of its content', () => {
    const { id, text } = filterDocument({ ...DRAFT, ruleTitle: 'Many', owner: 'ada', reason: 'ticket 9' });
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(text).toBe(`title: "Left out in acme: Many"
id: ${id}
description: Drafted from alert 0f3a77c1.
logsource:
  product: p
  service: s
filter:
  rules:
    - a
  selection:
    intake_org|cased: acme
    actor.id|cased: ann
  condition: not selection
custom:
  owner: ada
  reason: ticket 9
  expires: 2027-01-31
`);
    expect(filterDocument(DRAFT).id).toBe(id);
    expect(filterDocument({ ...DRAFT, organization: 'globex' }).id).not.toBe(id);
  });

  it('says what it is told, whatever stands in it, and leaves out that and nothing else', () => {
    const odd = 'C:\\a*?\\\\ "b": #c';
    const fields = [
      { field: 'actor.id', values: [odd] },
      { field: 'n', values: [5] },
      { field: 'on', values: [true] },
      { field: 'tags', values: ['a', 'b*'] },
    ];
    const { text } = filterDocument({ ...DRAFT, fields });
    const files = [{ path: 'a.yml', content: detection('a', '{product: p, service: s}') }];
    const set = loadRuleSet([...files, { path: 'f.yml', content: text }]);
    expect(set.warnings).toEqual([]);
    expect(set.exceptions).toMatchObject([
      { title: 'Left out in acme: Many: "failures" #1', owner: '0x10', reason: DRAFT.reason, rules: ['a'] },
    ]);
    const met = { event_type: 'x', intake_org: 'acme', 'actor.id': odd, n: 5, on: true, tags: ['b*', 'z', 'a'] };
    const matches = (fields: Readonly<Record<string, unknown>>) => set.matchEvent(createJsonFieldView(fields), null);
    expect(matches(met)).toEqual([]);
    for (const other of [
      { 'actor.id': odd.toLowerCase() },
      { 'actor.id': odd.replace('*', 'x') },
      { intake_org: 'ACME' },
      { n: 6 },
      { on: false },
      { tags: ['a', 'bx'] },
    ])
      expect(matches({ ...met, ...other }), JSON.stringify(other)).toEqual([0]);
  });

  it('asks for what the log sources of its rules have in common', () => {
    const logSources = [
      { product: 'p', service: 's', category: null },
      { product: 'p', service: 'other', category: null },
    ];
    const detections = logSources.map((logSource, index) => ({ id: `d${index}`, logSource }));
    expect(filterDocument({ ...DRAFT, detections }).text).toContain('logsource:\n  product: p\nfilter:');
    const apart = [...detections, { id: 'd2', logSource: { product: 'q', service: 's', category: null } }];
    expect(filterDocument({ ...DRAFT, detections: apart }).text).not.toContain('logsource');
  });
});
