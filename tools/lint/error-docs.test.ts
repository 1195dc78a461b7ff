import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorCatalogue } from '../../api/errors.ts';

describe('docs/errors.md', () => {
  const text = readFileSync(join(import.meta.dirname, '../../docs/errors.md'), 'utf8');

  it('explains every code of the catalogue and no other, in order', () => {
    const documented = [...text.matchAll(/^## (PLK\d{3}) ([A-Z_]+)\n\n(?=\S)/gm)].map((match) => [match[2], match[1]]);
    assert.deepEqual(documented, Object.entries(errorCatalogue));
  });

  it('has no code twice', () => {
    const codes = Object.values(errorCatalogue);
    assert.equal(new Set(codes).size, codes.length);
  });
});
