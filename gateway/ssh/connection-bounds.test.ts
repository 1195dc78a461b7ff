import assert from 'node:assert/strict';
import { ConnectionBounds, networkOf } from './connection-bounds.ts';

describe('ConnectionBounds', () => {
  it('takes ten strangers of one network, and more once some are known or gone', () => {
    const bounds = new ConnectionBounds(() => 0);
    const places = Array.from({ length: 11 }, (_, index) => bounds.enter(`192.0.2.${index}`));
    assert.equal(places.filter((place) => place !== undefined).length, 10);
    assert.notEqual(bounds.enter('192.0.3.1'), undefined, 'another network has room of its own');
    places[0]?.known();
    places[0]?.known();
    places[1]?.leave();
    places[1]?.leave();
    assert.notEqual(bounds.enter('192.0.2.1'), undefined);
    assert.notEqual(bounds.enter('192.0.2.1'), undefined);
    assert.equal(bounds.enter('192.0.2.1'), undefined);
  });

  it('takes so many in a row, and then so many in a second', () => {
    let nowMs = 0;
    const bounds = new ConnectionBounds(() => nowMs);
    const come = (): boolean => {
      const place = bounds.enter('192.0.2.1');
      place?.leave();
      return place !== undefined;
    };
    assert.equal(Array.from({ length: 100 }, come).filter(Boolean).length, 60);
    nowMs = 1_000;
    assert.equal(Array.from({ length: 100 }, come).filter(Boolean).length, 5);
  });

  it('takes so many strangers in all', () => {
    const bounds = new ConnectionBounds(() => 0);
    const taken = Array.from({ length: 200 }, (_, index) => bounds.enter(`10.0.${index}.1`)).filter((place) => place !== undefined);
    assert.equal(taken.length, 128);
  });

  it('knows networks of both kinds of addresses', () => {
    assert.equal(networkOf('192.0.2.77'), '192.0.2');
    assert.equal(networkOf('::ffff:192.0.2.77'), '192.0.2');
    assert.equal(networkOf('2001:db8:1:203::5'), networkOf('2001:db8:1:2ff:1:2:3:4'));
    assert.notEqual(networkOf('2001:db8:1:203::5'), networkOf('2001:db8:1:303::5'));
    assert.equal(networkOf('::1'), '0:0:0:0');
  });
});
