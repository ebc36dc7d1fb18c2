// Planted: imports another service and, with it, closes a circle. The boundary gate must report both.
import { other } from '../../alerter/src/planted.ts';

export const planted: number = other + 1;
