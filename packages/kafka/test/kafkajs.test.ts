import { createKafkaJsClient } from '../src/index.ts';
import { describeKafkaContract } from './contract.ts';
import { openNetworkHarness } from './network-harness.ts';

describeKafkaContract('kafkajs', () => openNetworkHarness(createKafkaJsClient));
