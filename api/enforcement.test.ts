import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { enforcementKinds, enforcementLevels, meetsLevel } from './enforcement.ts';

describe('meetsLevel()', () => {
  it('takes what is better, and nothing that is worse or unknown', () => {
    assert.ok(meetsLevel({ disk: 'Quota' }, 'disk', 'Watchdog'));
    assert.ok(meetsLevel({ disk: 'Watchdog' }, 'disk', 'Watchdog'));
    assert.ok(!meetsLevel({ disk: 'Watchdog' }, 'disk', 'Quota'));
    assert.ok(!meetsLevel({ disk: 'None' }, 'disk', 'Watchdog'));
    assert.ok(!meetsLevel(undefined, 'memory', 'Hard'));
    assert.ok(meetsLevel(undefined, 'memory', 'None'));
    assert.ok(!meetsLevel({ memory: 'Hard' }, 'memory', 'Harder'));
  });

  it('knows exactly the levels that the definition of Provider has', () => {
    interface Schema {
      properties: Record<string, Schema>;
      enum?: string[];
    }
    const text = readFileSync(join(import.meta.dirname, '../crds/provider.yaml'), 'utf8');
    const definition = parse(text) as { spec: { versions: { schema: { openAPIV3Schema: Schema } }[] } };
    const properties =
      definition.spec.versions[0]?.schema.openAPIV3Schema.properties['status']?.properties['enforcement']?.properties ?? {};
    for (const kind of enforcementKinds)
      assert.deepEqual([...(properties[kind]?.enum ?? [])].sort(), [...enforcementLevels[kind]].sort(), kind);
    assert.deepEqual(Object.keys(properties).sort(), [...enforcementKinds, 'evidence', 'probedAt'].sort());
  });
});
