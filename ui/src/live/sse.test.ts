import { expect, test } from 'vitest';

import { Parser } from './sse';

test('messages are found however the stream is cut', () => {
  const stream = 'retry: 2000\n\nid: 7-0\ndata: {"a":1}\n\n: still here\n\nid: 8\r\ndata: one\r\ndata: two\r\n\r\n';
  for (const size of [1, 3, 1000]) {
    const parser = new Parser();
    const found = [];
    for (let at = 0; at < stream.length; at += size) found.push(...parser.push(stream.slice(at, at + size)));
    expect(found).toEqual([
      { id: '7-0', data: '{"a":1}' },
      { id: '8', data: 'one\ntwo' },
    ]);
  }
});

test('a cursor without data is a message too', () => {
  expect(new Parser().push('id: 6-10\n\n')).toEqual([{ id: '6-10', data: null }]);
});
