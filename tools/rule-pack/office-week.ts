import { createRandom, type Random } from './random.ts';

/** An event of the office, as rules see it: envelope and typed fields, and beside them what enrichers add. */
export type OfficeEvent = {
  readonly event_id: string;
  readonly event_type: string;
  readonly occurred_at: string;
  readonly organization_id: string;
  readonly [field: string]: unknown;
};

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const GIBIBYTE = 1_073_741_824;
const MEBIBYTE = 1_048_576;

/** Monday, so that days 5 and 6 are the weekend. */
export const OFFICE_START_MS = Date.parse('2026-01-05T00:00:00Z');
export const OFFICE_DAYS = 7;

type Facts = Readonly<Record<string, unknown>>;
type Draft = { readonly atMs: number; readonly facts: Facts };
type Place = { readonly ip: string; readonly asn: number };
type Person = {
  readonly id: string;
  readonly office: Place;
  readonly home: Place;
  readonly isDeveloper: boolean;
  readonly isAnalyst: boolean;
  readonly usesVpn: boolean;
};

const SDK = { web: 'js/4.1.0', 'rust-cli': 'rust/1.8.2', python: 'python/2.0.0' } as const;
type Platform = keyof typeof SDK;

/**
 * A week of an office without a single attack: logins with typing errors, second factors, forgotten passwords, VPN,
 * journeys, exports, deployments, service accounts, nights on call, and the odd thing that looks like an attack and is
 * none. In order of time. The same seed and number of people give the same events.
 */
export function officeWeek({ people, seed }: { people: number; seed: number }): OfficeEvent[] {
  const random = createRandom(seed);
  const drafts: Draft[] = [];
  const staff = Array.from({ length: people }, (_, index) => personOf(index, random));
  for (let day = 0; day < OFFICE_DAYS; day++) {
    const isWeekend = day >= 5;
    for (const person of staff) {
      if (random.chance(isWeekend ? 0.04 : 0.9)) drafts.push(...dayOf(person, OFFICE_START_MS + day * DAY, random));
    }
    drafts.push(...machinesOf(OFFICE_START_MS + day * DAY, isWeekend, random));
  }
  drafts.push(...oddThings(staff, random));
  drafts.sort((a, b) => a.atMs - b.atMs);
  return drafts.map(({ atMs, facts }, index) => ({
    event_id: `00000000-0000-7000-8000-${index.toString(16).padStart(12, '0')}`,
    event_type: String(facts['event_type']),
    occurred_at: new Date(atMs).toISOString(),
    organization_id: 'office',
    ...facts,
  }));
}

function personOf(index: number, random: Random): Person {
  return {
    id: `user-${index}`,
    office: { ip: `office-${index % 3}`, asn: 64_500 + (index % 3) },
    home: { ip: `home-${index}`, asn: 64_600 + (index % 5) },
    isDeveloper: index % 10 < 3,
    isAnalyst: index % 100 === 50,
    usesVpn: random.chance(0.25),
  };
}

/** An event of a person at a place, through a platform. */
function act(event_type: string, person: Person, place: Place, platform: Platform, more: Facts = {}): Facts {
  return {
    event_type,
    actor: { type: 'user', id: person.id },
    source: { platform, service: `${platform}-app`, sdk: SDK[platform], instance: `${platform}-1` },
    network: { ip_hash: place.ip, asn: place.asn },
    ...more,
  };
}

function machine(event_type: string, id: string, more: Facts = {}): Facts {
  return {
    event_type,
    actor: { type: 'service', id },
    source: { platform: 'python', service: 'jobs', sdk: SDK.python, instance: 'jobs-1' },
    network: { ip_hash: 'data-center', asn: 64_999 },
    ...more,
  };
}

/** Failures in the number in which people make them: most none, some one or two, few a handful. */
function typingErrors(random: Random): number {
  const draw = random.next();
  if (draw < 0.86) return 0;
  if (draw < 0.96) return 1;
  if (draw < 0.992) return 2;
  return random.whole(3, 4);
}

const KNOWN = { network_is_new: false, device_is_new: false, days_idle: 0 } as const;

/** A person proves who they are: typing errors, perhaps a reset, the second factor, the session. */
function login(person: Person, place: Place, atMs: number, random: Random, enriched: Facts = KNOWN): Draft[] {
  const drafts: Draft[] = [];
  let time = atMs;
  const add = (facts: Facts, stepMs: number): void => {
    drafts.push({ atMs: time, facts });
    time += stepMs;
  };
  const forgot = random.chance(0.0008);
  const failures = forgot ? random.whole(5, 7) : typingErrors(random);
  const known = { network_is_new: enriched['network_is_new'] };
  for (let count = 0; count < failures; count++) {
    const facts = { outcome: 'FAILURE', failure_reason: 'bad_credentials', ...known };
    add(act('auth.login.failure', person, place, 'web', facts), random.whole(4, 25) * SECOND);
  }
  if (forgot) add(act('auth.password.reset', person, place, 'web', { subject: { id: person.id } }), 2 * MINUTE);
  if (random.chance(0.02)) {
    const missed = random.chance(0.1) ? 3 : 1;
    for (let count = 0; count < missed; count++) {
      add(act('auth.mfa.denied', person, place, 'web', { mfa_method: 'push' }), 50 * SECOND);
    }
  }
  add(act('auth.mfa.approved', person, place, 'web', { mfa_method: 'push' }), SECOND);
  add(act('auth.login.success', person, place, 'web', { session_id: `${person.id}-${atMs}`, ...enriched }), SECOND);
  return drafts;
}

const READS = ['artifact.read', 'workspace.accessed', 'data.read', 'artifact.downloaded', 'project.updated'] as const;

function dayOf(person: Person, dayMs: number, random: Random): Draft[] {
  const place = random.chance(0.6) ? person.office : person.home;
  const startMs = dayMs + 7 * HOUR + random.whole(0, 180) * MINUTE + random.whole(0, 59_999);
  const drafts = login(person, place, startMs, random);
  const at = (): number => startMs + MINUTE + random.whole(0, 8 * 60) * MINUTE + random.whole(0, 59_999);
  const add = (atMs: number, facts: Facts): number => drafts.push({ atMs, facts });
  const session_id = `${person.id}-${startMs}`;
  const team = `team-${Number(person.id.slice(5)) % 40}`;
  for (let count = random.whole(5, 14); count > 0; count--) {
    const resource_id = `${team}/${random.whole(0, 80)}`;
    add(
      at(),
      act(random.pick(READS), person, place, 'web', {
        session_id,
        resource_id,
        size_bytes: random.whole(1, 40) * MEBIBYTE,
      }),
    );
  }
  for (let count = random.whole(1, 4); count > 0; count--) {
    add(at(), act('authz.permission.granted', person, place, 'web', { session_id, resource_id: `${team}/x` }));
  }
  if (random.chance(0.04)) {
    const first = at();
    for (let count = random.whole(1, 4); count > 0; count--) {
      add(first + count * 9 * SECOND, act('authz.access.denied', person, place, 'web', { resource_id: `hr/${count}` }));
    }
  }
  if (random.chance(0.05)) {
    add(
      at(),
      act('data.exported', person, place, 'web', { size_bytes: random.whole(1, 200) * MEBIBYTE, scope: 'own' }),
    );
  }
  if (person.isAnalyst) {
    add(
      at(),
      act('data.exported', person, place, 'python', { size_bytes: random.whole(1, 4) * GIBIBYTE, scope: 'sales' }),
    );
  }
  if (person.isDeveloper) drafts.push(...developerDay(person, place, at, random));
  if (person.usesVpn && random.chance(0.3)) {
    // The exit stands in another country; the account has used this network before.
    const vpn = { ip: `vpn-${random.whole(0, 3)}`, asn: 64_700 };
    drafts.push(...login(person, vpn, at(), random, { ...KNOWN, 'geo.speed_kmh': String(random.whole(1_000, 9_000)) }));
  }
  if (random.chance(0.01)) {
    const hotel = { ip: `hotel-${random.whole(0, 50)}`, asn: 65_000 + random.whole(0, 50) };
    drafts.push(...login(person, hotel, at(), random, { ...KNOWN, network_is_new: true, 'geo.speed_kmh': '240' }));
  }
  if (random.chance(0.004)) add(at(), act('auth.password.changed', person, place, 'web'));
  if (random.chance(0.02)) {
    const first = at();
    for (let count = random.whole(3, 30); count > 0; count--) {
      add(first + count * SECOND, act('security.rate_limit.exceeded', person, place, 'web', { limit_name: 'search' }));
    }
  }
  add(startMs + 9 * HOUR + random.whole(0, 90) * MINUTE, act('auth.logout', person, place, 'web', { session_id }));
  return drafts;
}

function developerDay(person: Person, place: Place, at: () => number, random: Random): Draft[] {
  const drafts: Draft[] = [];
  const add = (atMs: number, facts: Facts): number => drafts.push({ atMs, facts });
  for (let count = random.whole(2, 6); count > 0; count--) {
    add(at(), act('verification.key.succeeded', person, place, 'rust-cli', { key_id: `key-${person.id}` }));
  }
  if (random.chance(0.3)) add(at(), act('auth.login.success', person, place, 'rust-cli', KNOWN));
  if (random.chance(0.01)) {
    const first = at();
    for (let count = random.whole(1, 3); count > 0; count--) {
      const facts = { key_id: `key-${person.id}`, failure_reason: 'expired' };
      add(first + count * 20 * SECOND, act('verification.key.failed', person, place, 'rust-cli', facts));
    }
  }
  if (random.chance(0.02))
    add(at(), act('auth.key.rotated', person, place, 'rust-cli', { key_id: `key-${person.id}` }));
  const token = { token_id: `token-${person.id}-${at()}` };
  const made = at();
  add(made, act('auth.token.created', person, place, 'rust-cli', token));
  add(made + MINUTE, act('auth.token.used', person, place, 'rust-cli', { ...token, outcome: 'SUCCESS' }));
  if (random.chance(0.2)) add(made + 2 * HOUR, act('auth.token.revoked', person, place, 'rust-cli', token));
  return drafts;
}

/** Jobs, deployments, scanners and scheduled work of one day. */
function machinesOf(dayMs: number, isWeekend: boolean, random: Random): Draft[] {
  const drafts: Draft[] = [];
  const add = (atMs: number, facts: Facts): number => drafts.push({ atMs, facts });
  for (let job = 0; job < 20; job++) {
    for (let atMs = dayMs + job * SECOND; atMs < dayMs + DAY; atMs += 10 * MINUTE) {
      add(atMs, machine('verification.key.succeeded', `job-${job}`, { key_id: `job-key-${job}` }));
    }
  }
  add(dayMs + 2 * HOUR, machine('data.exported', 'job-backup', { size_bytes: 40 * GIBIBYTE, destination: 'backup' }));
  add(dayMs + 4 * HOUR, machine('data.exported', 'job-report', { size_bytes: GIBIBYTE / 2, destination: 'mail' }));
  for (let resource = 0; resource < 400; resource++) {
    add(dayMs + 3 * HOUR + resource * SECOND, machine('data.read', 'job-index', { resource_id: `all/${resource}` }));
  }
  for (let count = isWeekend ? 0 : 6; count > 0; count--) {
    add(dayMs + 9 * HOUR + count * HOUR, machine('config.changed', 'job-deploy', { change_id: `c-${dayMs}-${count}` }));
  }
  for (let scanner = 0; scanner < 10; scanner++) {
    const first = dayMs + random.whole(0, 23) * HOUR;
    const network = { ip_hash: `scanner-${random.whole(0, 9_999)}` };
    for (let count = random.whole(1, 3); count > 0; count--) {
      add(first + count * MINUTE, { ...machine('security.blocklist.hit', 'edge', { blocked: true }), network });
    }
  }
  // On call: the access broker gives the role, and takes it back in the morning.
  const onCall = { subject: { id: `user-${random.whole(0, 9)}` }, role: 'admin' };
  add(dayMs + HOUR, machine('authz.role.assigned', 'access-broker', onCall));
  add(dayMs + HOUR + 20 * MINUTE, {
    ...machine('authz.privilege.used', ''),
    actor: { type: 'user', ...onCall.subject },
  });
  add(dayMs + 6 * HOUR, machine('authz.role.removed', 'access-broker', onCall));
  return drafts;
}

/** What happens once or twice a week and looks like an attack. Each is named in rules/README.md. */
function oddThings(staff: readonly Person[], random: Random): Draft[] {
  const drafts: Draft[] = [];
  const add = (atMs: number, facts: Facts): number => drafts.push({ atMs, facts });
  const someone = (): Person => random.pick(staff);
  const at = (day: number, hour: number): number =>
    OFFICE_START_MS + day * DAY + hour * HOUR + random.whole(0, 20) * MINUTE;
  const repeat = (count: number, everyMs: number, firstMs: number, facts: Facts): void => {
    for (let index = 0; index < count; index++) add(firstMs + index * everyMs, facts);
  };

  // A mail client keeps the old password for an hour after a change.
  const old = someone();
  repeat(60, MINUTE, at(0, 14), act('auth.login.failure', old, old.home, 'python', { network_is_new: false }));
  // Two build servers with expired keys.
  repeat(20, 30 * SECOND, at(1, 3), machine('verification.key.failed', 'job-7', { failure_reason: 'expired' }));
  repeat(20, 30 * SECOND, at(6, 3), machine('verification.key.failed', 'job-12', { failure_reason: 'expired' }));
  // Four new phones at home, the second factor goes off and on; one of the four exports a report on the same day.
  for (let phone = 0; phone < 4; phone++) {
    const owner = someone();
    const time = at(phone + 1, 18);
    drafts.push(...login(owner, owner.home, time, random, { ...KNOWN, device_is_new: true }));
    add(time + 5 * MINUTE, act('auth.mfa.disabled', owner, owner.home, 'web', { subject: { id: owner.id } }));
    add(time + 8 * MINUTE, act('auth.mfa.enabled', owner, owner.home, 'web', { subject: { id: owner.id } }));
    if (phone === 3) add(time + HOUR, act('data.exported', owner, owner.home, 'web', { size_bytes: 9 * MEBIBYTE }));
  }
  // A stolen phone on a journey: new phone, hotel, new password.
  const traveller = someone();
  const hotel = { ip: 'hotel-far', asn: 65_099 };
  drafts.push(...login(traveller, hotel, at(2, 20), random, { ...KNOWN, device_is_new: true, network_is_new: true }));
  add(at(2, 20) + 40 * MINUTE, act('auth.password.changed', traveller, hotel, 'web'));
  // The first VPN session of a new colleague, an hour after the login at the office.
  const colleague = someone();
  drafts.push(...login(colleague, colleague.office, at(1, 9), random));
  const firstVpn = { ...KNOWN, network_is_new: true, 'geo.speed_kmh': '6100' };
  drafts.push(...login(colleague, { ip: 'vpn-0', asn: 64_700 }, at(1, 10), random, firstVpn));
  // The yearly audit: one person looks at everything and takes a list along.
  const auditor = someone();
  repeatResources(drafts, auditor, at(3, 13));
  add(at(3, 13) + 35 * MINUTE, act('data.exported', auditor, auditor.office, 'web', { size_bytes: 30 * MEBIBYTE }));
  // Moving house: twelve gibibytes of one team.
  const mover = someone();
  repeat(3, 10 * MINUTE, at(4, 11), act('data.exported', mover, mover.office, 'python', { size_bytes: 4 * GIBIBYTE }));
  // Emergency at night: the broker is down, the person on call takes the role.
  const onCall = someone();
  add(at(5, 2), act('authz.role.assigned', onCall, onCall.home, 'web', { subject: { id: onCall.id }, role: 'admin' }));
  add(at(5, 2) + 15 * MINUTE + HOUR / 2, act('authz.privilege.used', onCall, onCall.home, 'web'));
  // Back from parental leave, first the web and then the command line.
  const parent = someone();
  drafts.push(...login(parent, parent.office, at(0, 9), random, { ...KNOWN, days_idle: '187' }));
  add(at(0, 9) + HOUR, act('auth.login.success', parent, parent.office, 'rust-cli', KNOWN));
  // A client in a loop after a deployment.
  const looping = someone();
  repeat(
    150,
    3 * SECOND,
    at(2, 15),
    act('security.rate_limit.exceeded', looping, looping.home, 'web', { limit_name: 'search' }),
  );
  // Leavers.
  for (let day = 0; day < 3; day++) {
    add(at(day, 17), machine('member.removed', 'job-hr', { subject: { type: 'user', id: someone().id } }));
  }
  return drafts;
}

function repeatResources(drafts: Draft[], person: Person, firstMs: number): void {
  for (let resource = 0; resource < 260; resource++) {
    const facts = act('data.read', person, person.office, 'web', { resource_id: `archive/${resource}` });
    drafts.push({ atMs: firstMs + resource * 6 * SECOND, facts });
  }
}
