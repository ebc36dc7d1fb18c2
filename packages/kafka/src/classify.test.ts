import { MultipleErrors, NetworkError, ProtocolError, ResponseError, UserError } from '@platformatic/kafka';
import kafkajs from 'kafkajs';
import { describe, expect, it } from 'vitest';
import { FAULTS } from './errors.ts';
import { classifyKafkaJs } from './kafkajs/classify.ts';
import { classifyPlatformatic } from './platformatic/classify.ts';
import { protocolFault } from './protocol-faults.ts';

describe('classification of library errors', () => {
  it('is total: anything thrown gets a fault, and unknown ones count as possibly carried out', () => {
    for (const classify of [classifyKafkaJs, classifyPlatformatic]) {
      for (const thrown of [undefined, null, 'text', 7, {}, new Error('x'), new TypeError('y'), Symbol('z')]) {
        expect(classify(thrown)).toBe(FAULTS.unclassified);
      }
    }
  });

  it('opens the wrappers of kafkajs', () => {
    const refused = new kafkajs.KafkaJSConnectionError('Connection error: connect ECONNREFUSED', {
      code: 'ECONNREFUSED',
    });
    const wrapped = new kafkajs.KafkaJSNumberOfRetriesExceeded(refused, { retryCount: 5, retryTime: 100 });
    expect(classifyKafkaJs(wrapped)).toBe(FAULTS.connectionRefused);
    const lost = Object.assign(new Error('Closed connection'), { name: 'KafkaJSConnectionClosedError' });
    expect(classifyKafkaJs(lost)).toBe(FAULTS.connectionLost);
    const timeout = Object.assign(new Error('Request timed out'), { name: 'KafkaJSRequestTimeoutError' });
    expect(classifyKafkaJs(timeout)).toBe(FAULTS.timeout);
    const protocol = Object.assign(new Error('x'), { name: 'KafkaJSProtocolError', type: 'NOT_ENOUGH_REPLICAS' });
    expect(classifyKafkaJs(protocol)).toBe(FAULTS.notEnoughReplicas);
  });

  it('finds protocol and socket errors inside those of @platformatic/kafka', () => {
    const response = new ResponseError(0, 9, { '/responses/0': [6, null] }, {});
    expect(classifyPlatformatic(response)).toBe(FAULTS.notLeader);
    const nested = new MultipleErrors('produce failed', [new NetworkError('x'), response]);
    expect(classifyPlatformatic(nested)).toBe(FAULTS.notLeader);
    const refused = new NetworkError('connect', { cause: Object.assign(new Error(), { code: 'ECONNREFUSED' }) });
    expect(classifyPlatformatic(refused)).toBe(FAULTS.connectionRefused);
    expect(classifyPlatformatic(new NetworkError('Connection closed'))).toBe(FAULTS.connectionLost);
    expect(classifyPlatformatic(new ProtocolError('MESSAGE_TOO_LARGE'))).toBe(FAULTS.recordTooLarge);
    expect(classifyPlatformatic(new UserError('Unknown topic a.'))).toBe(FAULTS.unknownTopic);
    expect(classifyPlatformatic(new MultipleErrors('x', [new UserError('bad option')]))).toBe(FAULTS.invalidRequest);
  });

  it('ends at a cause that leads back to itself', () => {
    const loop = new Error('loop');
    loop.cause = loop;
    expect(classifyPlatformatic(loop)).toBe(FAULTS.unclassified);
    expect(classifyKafkaJs(loop)).toBe(FAULTS.unclassified);
  });

  it('knows what may have been written: only faults that prove the contrary are definite', () => {
    for (const name of ['REQUEST_TIMED_OUT', 'NETWORK_EXCEPTION', 'NOT_ENOUGH_REPLICAS_AFTER_APPEND', 'NO_SUCH_NAME']) {
      expect({ name, indefinite: protocolFault(name).indefinite }).toEqual({ name, indefinite: true });
    }
    for (const name of [
      'NOT_LEADER_OR_FOLLOWER',
      'NOT_ENOUGH_REPLICAS',
      'MESSAGE_TOO_LARGE',
      'TOPIC_AUTHORIZATION_FAILED',
    ]) {
      expect({ name, indefinite: protocolFault(name).indefinite }).toEqual({ name, indefinite: false });
    }
  });
});
