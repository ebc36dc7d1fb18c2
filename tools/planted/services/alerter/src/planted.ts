// Planted: production code that imports the test kit, and the other half of the circle.
import * as testkit from '@tracehound/testkit';
import { planted } from '../../sink-audit/src/planted.ts';

export const other: number = Object.keys(testkit).length + planted;
