// Planted: an adapter that knows business. The boundary gate must report it.
import { Pipeline } from '@tracehound/pipeline';

export const planted: string = Pipeline.name;
