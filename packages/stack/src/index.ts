export {
  ADDRESS_KEYS,
  addressesFromEnvironment,
  environmentOf,
  missingAddressKeys,
  type StackAddresses,
} from './addresses.ts';
