/** What ends at the balancer: Connection and what it names, forwarding headers, Expect, and upgrades. */

import { behind, forwarded, get, post, refused, type Case, type Expectation } from './case.ts'

const davison = 'Davison 2019 "Abusing HTTP hop-by-hop request headers"; CVE-2022-31813 (Apache)'
const expectDesync = 'Expect: Kettle 2025 "HTTP/1.1 must die"'
const websocketHead = `${get}Connection: Upgrade\r\nUpgrade: websocket\r\n`

function dropped(...names: string[]): Expectation {
  return forwarded('GET /case', '', Object.fromEntries(names.map((name) => [name, []])))
}

const connection: readonly Case[] = [
  {
    name: 'Connection names a length: the body keeps it',
    source: davison,
    bytes: `${post}Connection: content-length\r\nContent-Length: 5\r\n\r\nhello`,
    expect: forwarded('POST /case', 'hello', { 'content-length': ['5'] }),
  },
  {
    name: 'Connection names a coding: the body keeps it',
    source: davison,
    bytes: `${post}Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
    expect: forwarded('POST /case', 'hello', { 'transfer-encoding': [], 'content-length': ['5'] }),
  },
  {
    name: 'Connection names the host: it stays',
    source: davison,
    bytes: `${get}Connection: close, Host\r\n\r\n`,
    expect: forwarded('GET /case', '', { host: ['a'] }),
  },
  {
    name: 'Connection names what the balancer adds: it stays',
    source: davison,
    bytes: `${get}X-Request-Id: mine\r\nConnection: keep-alive, X-Forwarded-For, X-Forwarded-Host, Forwarded, X-Request-Id\r\n\r\n`,
    expect: forwarded('GET /case', '', {
      'x-forwarded-for': ['127.0.0.1'],
      'x-forwarded-host': ['a'],
      'x-request-id': ['mine'],
    }),
  },
  {
    name: 'Connection names what says who asks and what was sent: it stays',
    source: davison,
    bytes: `${get}Cookie: s=1\r\nAuthorization: Bearer x\r\nOrigin: http://evil\r\nContent-Type: a/b\r\nConnection: Cookie, authorization, ORIGIN, content-type\r\n\r\n`,
    expect: forwarded('GET /case', '', {
      cookie: ['s=1'],
      authorization: ['Bearer x'],
      origin: ['http://evil'],
      'content-type': ['a/b'],
    }),
  },
  {
    name: 'Connection names something else: it ends here',
    source: 'RFC 9110 7.6.1',
    bytes: `${get}X-Hop: 1\r\nX-Two: 2\r\nConnection: x-hop\r\nConnection:  , X-TWO ,,\r\n\r\n`,
    expect: dropped('x-hop', 'x-two'),
  },
  {
    name: 'headers of one hop end here without being named',
    source: 'RFC 9110 7.6.1, RFC 9112 C.2.2',
    bytes: `${get}Keep-Alive: 300\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: x\r\nTrailer: x\r\nTE: gzip\r\n\r\n`,
    expect: dropped('keep-alive', 'proxy-connection', 'proxy-authorization', 'trailer', 'te'),
  },
  {
    name: 'forwarding headers of a stranger are replaced, underscores or not',
    source: 'CVE-2019-20372 family; RFC 7239 8.1; Django and WSGI fold _ and -',
    bytes: `${get}X-Forwarded-For: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\nx-forwarded-prefix: /x\r\nX-Real-IP: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nX-Fourfold-Clone: x\r\nX_FOURFOLD_ID: x\r\n\r\n`,
    expect: forwarded('GET /case', '', {
      'x-forwarded-for': ['127.0.0.1'],
      x_forwarded_for: [],
      'x-forwarded-prefix': [],
      'x-real-ip': [],
      forwarded: ['for=127.0.0.1;host="a";proto=http'],
      'x-fourfold-clone': [],
      x_fourfold_id: [],
    }),
  },
]

const expectations: readonly Case[] = [
  ...['100-continue, x', 'y 100-continue', '100-continue;a=b', '"100-continue"', '100', ''].map((value): Case => ({
    name: `Expect: ${value === '' ? 'nothing' : value}`,
    source: `${expectDesync}; RFC 9110 10.1.1`,
    bytes: `${post}Expect: ${value}\r\nContent-Length: ${behind.length}\r\n\r\n${behind}`,
    expect: refused,
  })),
  {
    name: 'Expect twice',
    source: expectDesync,
    bytes: `${post}Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello`,
    expect: refused,
  },
  {
    name: 'Expect folded',
    source: expectDesync,
    bytes: `${post}Expect:\r\n 100-continue\r\nContent-Length: 5\r\n\r\nhello`,
    expect: refused,
  },
  {
    name: 'Expect ends at the balancer, with a body',
    source: 'RFC 9110 10.1.1',
    bytes: `${post}Expect: 100-Continue\r\nContent-Length: 5\r\n\r\nhello`,
    expect: forwarded('POST /case', 'hello', { expect: [] }),
  },
  {
    name: 'Expect with a length of 0',
    source: `${expectDesync}: 0.CL by Expect`,
    bytes: `${post}Expect: 100-continue\r\nContent-Length: 0\r\n\r\n`,
    expect: forwarded('POST /case', '', { expect: [] }),
  },
  {
    name: 'Expect on a GET',
    source: `${expectDesync}; RFC 9110 10.1.1`,
    bytes: `${get}Expect: 100-continue\r\n\r\n`,
    expect: dropped('expect'),
  },
  {
    name: 'Expect with the body and another request in the same write',
    source: `${expectDesync}: bytes that came before the 100`,
    bytes: `${post}Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello${behind}`,
    expect: { forwarded: [{ line: 'POST /case', body: 'hello', headers: { expect: [] } }, { line: 'GET /smuggled' }] },
  },
  {
    name: 'Expect with a body over the limit is answered at once, and the body is no request',
    source: `${expectDesync}; RFC 9110 10.1.1`,
    bytes: `${post}Expect: 100-continue\r\nContent-Length: 999999999\r\n\r\n${behind}`,
    expect: { refused: 413 },
  },
  {
    name: 'Expect in HTTP/1.0 is not heard',
    source: 'RFC 9110 10.1.1',
    bytes: 'POST /case HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello',
    expect: forwarded('POST /case', 'hello', { expect: [] }),
  },
]

const upgrades: readonly Case[] = [
  {
    name: 'an upgrade to HTTP/2 is not heard',
    source: 'h2c smuggling: Bishop Fox 2020; RFC 9113 3.1',
    bytes: `${get}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n`,
    expect: dropped('upgrade', 'http2-settings'),
  },
  {
    name: 'nothing behind an upgrade to HTTP/2 is heard',
    source: 'h2c smuggling: Bishop Fox 2020',
    bytes: `${get}Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n${behind}`,
    expect: dropped('upgrade'),
  },
  {
    name: 'a WebSocket that Connection does not name is a request',
    source: 'RFC 9110 7.8',
    bytes: `${get}Upgrade: websocket\r\n\r\n`,
    expect: dropped('upgrade'),
  },
  {
    name: 'a WebSocket by POST is a request',
    source: 'RFC 6455 4.1; WebSocket smuggling: Egorov 2019',
    bytes: `${post}Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n\r\nhello`,
    expect: forwarded('POST /case', 'hello', { upgrade: [] }),
  },
  {
    name: 'a WebSocket in a list of upgrades is a request',
    source: 'RFC 9110 7.8; WebSocket smuggling: Egorov 2019',
    bytes: `${get}Connection: Upgrade\r\nUpgrade: h2c, websocket\r\n\r\n`,
    expect: dropped('upgrade'),
  },
  {
    name: 'a WebSocket with a length',
    source: 'RFC 6455 4.1; WebSocket smuggling: Egorov 2019',
    bytes: `${websocketHead}Content-Length: ${behind.length}\r\n\r\n${behind}`,
    expect: refused,
  },
  {
    name: 'a WebSocket in chunks',
    source: 'RFC 6455 4.1',
    bytes: `${websocketHead}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n${behind}`,
    expect: refused,
  },
  {
    name: 'a WebSocket with two hosts',
    source: 'RFC 9112 3.2; CVE-2020-11080 family: checks that upgrades skip',
    bytes: `${websocketHead}Host: b\r\n\r\n${behind}`,
    expect: refused,
  },
  {
    name: 'a WebSocket that the clone refuses: what came behind it is no request',
    source: 'WebSocket smuggling: Egorov 2019 (426 for a bad version)',
    bytes: `${websocketHead}Sec-WebSocket-Version: 1337\r\n\r\n${behind}`,
    expect: forwarded('GET /case', '', { upgrade: ['websocket'], connection: ['upgrade'] }),
  },
  {
    name: 'a WebSocket in HTTP/1.0',
    source: 'RFC 9110 7.8: Upgrade in HTTP/1.0 is ignored',
    bytes: `GET /case HTTP/1.0\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    expect: dropped('upgrade'),
  },
]

export const hopCases: readonly Case[] = [...connection, ...expectations, ...upgrades]
