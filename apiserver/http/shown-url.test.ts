import assert from 'node:assert/strict';
import { shownUrl } from './shown-url.ts';

describe('shownUrl()', () => {
  it('leaves out what is run, and nothing else', () => {
    const cases = [
      ['/pods/web/exec?command=mysql&command=-psecret&stdin=true', '/pods/web/exec?command=&command=&stdin=true'],
      ['/pods/web/exec?tty=true&command=a%26b', '/pods/web/exec?tty=true&command='],
      ['/pods/web/log?follow=true', '/pods/web/log?follow=true'],
    ];
    for (const [url, shown] of cases) assert.equal(shownUrl(url!), shown);
  });
});
