import fc from 'fast-check';

/**
 * Set-up of every unit test file. Properties draw from one seed, so that a commit that passed passes again: what a new
 * seed may find is looked for by `npm run test:long` and `npm run fuzz`, which draw their own. fast-check prints the
 * seed of what fails; TRACEHOUND_TEST_SEED sets it.
 */
const given = process.env['TRACEHOUND_TEST_SEED'];
const isLong = process.env['TRACEHOUND_TEST_LONG'] === '1';
const seed = given === undefined ? (isLong ? Date.now() % 2 ** 31 : 20_261_126) : Number(given);
fc.configureGlobal({ ...fc.readConfigureGlobal(), seed });
if (!isLong) process.env['TRACEHOUND_FUZZ_SEED'] ??= String(seed);
