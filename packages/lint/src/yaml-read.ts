import type { YamlEntry, YamlMap, YamlNode, YamlScalar } from '@tracehound/sigma';

/** The entry of a key; undefined when absent. */
export function entry(map: YamlMap | undefined, key: string): YamlEntry | undefined {
  return map?.entries.find((candidate) => candidate.key === key);
}

/** A map under a key; undefined when absent or something else. */
export function mapAt(map: YamlMap | undefined, key: string): YamlMap | undefined {
  const value = entry(map, key)?.value;
  return value?.kind === 'map' ? value : undefined;
}

/** Text of a scalar; undefined for null, maps and lists. */
export function text(node: YamlNode | undefined): string | undefined {
  return node?.kind === 'scalar' && node.value !== null ? String(node.value) : undefined;
}

export function textAt(map: YamlMap | undefined, key: string): string | undefined {
  return text(entry(map, key)?.value);
}

/** The scalars of a list; one scalar stands for a list of one. Null values stay. */
export function scalars(node: YamlNode | undefined): readonly YamlScalar[] {
  if (!node) return [];
  return (node.kind === 'list' ? node.items : [node]).filter((item) => item.kind === 'scalar');
}

/** The scalars under a key that are not null. */
export function scalarsAt(map: YamlMap | undefined, key: string): readonly YamlScalar[] {
  return scalars(entry(map, key)?.value).filter(({ value }) => value !== null);
}

/** The texts under a key. */
export function textsAt(map: YamlMap | undefined, key: string): readonly string[] {
  return scalarsAt(map, key).map(({ value }) => String(value));
}

export function isTrueAt(map: YamlMap | undefined, key: string): boolean {
  const value = entry(map, key)?.value;
  return value?.kind === 'scalar' && value.value === true;
}
