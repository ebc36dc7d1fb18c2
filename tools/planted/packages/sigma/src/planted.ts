// Planted: a pure ring that reads a file and imports an adapter. The boundary gate must report both.
import { readFileSync } from 'node:fs';
import type { KafkaRecord } from '@tracehound/kafka';

export const planted: (record: KafkaRecord) => string = (record) => readFileSync(record.topic, 'utf8');
