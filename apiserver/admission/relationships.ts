/** Asks again, now that the object is known, whether it is the one that the user may touch: see `access/relations/`. */
import type { AdmissionRule } from './admission-request.ts';

export const relationships: AdmissionRule = {
  name: 'Relationships',
  decide({ name, object, oldObject, options }) {
    options.recheck?.({ name, object, oldObject });
    return Promise.resolve(undefined);
  },
};
