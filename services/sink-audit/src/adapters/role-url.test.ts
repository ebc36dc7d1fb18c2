import { describe, expect, it } from 'vitest';
import { withRole } from './role-url.ts';

describe('role of the sessions', () => {
  it('travels as a start-up option beside those already there', () => {
    const plain = new URL(withRole('postgres://u:p@h:5/db?sslmode=require', 'audit_writer'));
    expect(plain.searchParams.get('options')).toBe('-c role=audit_writer');
    expect(plain.searchParams.get('sslmode')).toBe('require');
    const more = new URL(withRole('postgres://h/db?options=-c%20jit%3Doff', 'audit_writer'));
    expect(more.searchParams.get('options')).toBe('-c jit=off -c role=audit_writer');
  });

  it('no role leaves the address alone', () => {
    expect(withRole('postgres://h/db', '')).toBe('postgres://h/db');
  });
});
