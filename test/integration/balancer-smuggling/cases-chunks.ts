/** Bodies in chunks: sizes, line ends, extensions and trailers. */

import { behind, forwarded, post, refused, type Case } from './case.ts'

const head = `${post}Transfer-Encoding: chunked\r\n\r\n`
const funky = 'Weikop 2025 "Funky chunks"'

const malformed: readonly (readonly [what: string, body: string, source: string])[] = [
  [
    'a size with a plus',
    '+5\r\nhello\r\n0\r\n\r\n',
    'CVE-2020-10719 family (Undertow); Http11Probe SMUG-CHUNK-SIZE-PLUS',
  ],
  ['a size with a minus', '-5\r\nhello\r\n0\r\n\r\n', 'RFC 9112 7.1; Http11Probe SMUG-CHUNK-NEGATIVE'],
  ['a size with 0x', '0x5\r\nhello\r\n0\r\n\r\n', 'CVE-2022-24801 (Twisted); Http11Probe SMUG-CHUNK-HEX-PREFIX'],
  ['a size with an underscore', '1_0\r\n0123456789abcdef\r\n0\r\n\r\n', 'CVE-2022-24801 family: Python int()'],
  ['a size beyond 64 bits', '10000000000000005\r\nhello\r\n0\r\n\r\n', 'CVE-2013-2028 (nginx), CVE-2015-3183 (Apache)'],
  ['a size with a blank before', ' 5\r\nhello\r\n0\r\n\r\n', 'Http11Probe SMUG-CHUNK-LEADING-SP'],
  ['a size with a blank behind', '5 \r\nhello\r\n0\r\n\r\n', 'RFC 9112 7.1; Http11Probe SMUG-CHUNK-SIZE-TRAILING-SP'],
  ['a size that is no number', 'zz\r\nhello\r\n0\r\n\r\n', 'RFC 9112 7.1'],
  ['no size', '\r\nhello\r\n0\r\n\r\n', 'RFC 9112 7.1'],
  ['no size before an extension', ';a=b\r\nhello\r\n0\r\n\r\n', 'RFC 9112 7.1.1'],
  ['a size that ends in a bare LF', '5\nhello\r\n0\r\n\r\n', 'RFC 9112 2.2; Http11Probe SMUG-CHUNK-BARE-LF'],
  ['a size that ends in a bare CR', '5\rhello\r\n0\r\n\r\n', 'RFC 9112 2.2; CVE-2023-30589 (Node) family'],
  ['data that ends in a bare LF', '5\r\nhello\n0\r\n\r\n', `RFC 9112 7.1; ${funky} (TERM.SPILL)`],
  ['data that ends in a bare CR', '5\r\nhello\r0\r\n\r\n', `RFC 9112 7.1; ${funky}`],
  ['data without an end', '5\r\nhello0\r\n\r\n', 'RFC 9112 7.1; CVE-2023-46846 (Squid)'],
  ['data that is longer than its size', '5\r\nhello!!\r\n0\r\n\r\n', 'RFC 9112 7.1; CVE-2023-46846 (Squid)'],
  ['two characters for the end of data', '5\r\nhelloXX0\r\n\r\n', `${funky} (SPILL.TERM): any two bytes skipped`],
  ['an extension with a bare LF', '5;a\nb\r\nhello\r\n0\r\n\r\n', `${funky} (TERM.EXT), CVE-2021-22960 (Node)`],
  ['an empty extension with a bare LF', '5;\nhello\r\n0\r\n\r\n', `${funky} (TERM.EXT); Http11Probe SMUG-CHUNK-EXT-LF`],
  ['an extension with a bare CR', '5;a\rb\r\nhello\r\n0\r\n\r\n', `${funky} (EXT.TERM), CVE-2021-22960 (Node)`],
  ['an extension with a NUL', '5;a\0b\r\nhello\r\n0\r\n\r\n', 'RFC 9112 7.1.1; CVE-2021-22960 (Node)'],
  ['a last chunk that ends in a bare LF', '0\n\n', 'RFC 9112 7.1'],
  ['a last line that is a bare LF', '5\r\nhello\r\n0\r\n\n', 'CVE-2025-23167 (Node) family'],
  ['a last line that is CR and a letter', '5\r\nhello\r\n0\r\n\rX', 'CVE-2025-23167 (Node): \\r\\n\\rX'],
  ['a trailer without a colon', '0\r\nx-a\r\n\r\n', 'CVE-2024-35161 (Traffic Server): trailers'],
  ['a trailer that is folded', '0\r\nx-a: 1\r\n Transfer-Encoding: chunked\r\n\r\n', 'RFC 9112 5.2'],
  ['a trailer with a bare LF', '0\r\nx-a: 1\nx-b: 2\r\n\r\n', 'RFC 9112 2.2'],
  ['a trailer with a blank before its colon', '0\r\nx-a : 1\r\n\r\n', 'RFC 9112 5.1'],
]

export const chunkCases: readonly Case[] = [
  ...malformed.map(([what, body, source]): Case => ({
    name: `a chunked body with ${what}`,
    source,
    bytes: `${head}${body}${behind}`,
    expect: refused,
  })),
  ...malformed
    .filter(([, body]) => body.startsWith('5\r\nhello'))
    .map(([what, body, source]): Case => ({
      name: `a chunked body that has begun well, then ${what}`,
      source,
      bytes: [`${head}3\r\nabc\r\n`, `${body}${behind}`],
      expect: { cut: true },
    })),
  {
    name: 'a client that leaves inside a chunk',
    source: 'RFC 9112 8: an incomplete request',
    bytes: [`${head}3\r\nabc\r\n`, 'ff\r\nhalf'],
    expect: { cut: true },
  },
  {
    name: 'a size of sixteen F is a chunk that never ends',
    source: 'CVE-2013-2028 (nginx): sizes that are negative as signed numbers',
    bytes: [`${head}FFFFFFFFFFFFFFFF\r\nabc`, '\r\n0\r\n\r\n'],
    expect: { cut: true },
  },
  {
    name: 'extensions of chunks are dropped',
    source: 'RFC 9112 7.1.1; CVE-2021-22960 (Node)',
    bytes: `${head}5;a="b;c";d\r\nhello\r\n0;last\r\n\r\n`,
    expect: forwarded('POST /case', 'hello'),
  },
  {
    name: 'extensions without end are refused',
    source: 'CVE-2024-22019 (Node), CVE-2023-39326 (Go)',
    bytes: `${head}5;${'a'.repeat(20_000)}\r\nhello\r\n0\r\n\r\n`,
    expect: refused,
  },
  {
    name: 'zeros before a size and capital letters are written anew',
    source: 'RFC 9112 7.1',
    bytes: `${head}000A\r\n0123456789\r\n000\r\n\r\n`,
    expect: forwarded('POST /case', '0123456789'),
  },
  {
    name: 'a request in the place of a trailer never becomes one',
    source: 'CVE-2024-35161 (Traffic Server); Kettle 2019',
    bytes: `${head}0\r\n${behind}`,
    expect: refused,
  },
  {
    name: 'trailers that route or authenticate never become headers',
    source: 'RFC 9110 6.5.1; CVE-2024-35161 (Traffic Server), CVE-2024-23452 (bRPC)',
    bytes: `${head}5\r\nhello\r\n0\r\nHost: evil\r\nAuthorization: y\r\nX-Forwarded-For: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\nX-Sum: 42\r\n\r\n`,
    expect: forwarded('POST /case', 'hello', { host: ['a'], authorization: [], 'x-forwarded-for': ['127.0.0.1'] }),
  },
  ...['Content-Length: 9', 'Transfer-Encoding: chunked'].map((trailer): Case => ({
    name: `a trailer that frames: ${trailer}`,
    source: 'RFC 9110 6.5.1; CVE-2024-35161 (Traffic Server)',
    bytes: `${head}5\r\nhello\r\n0\r\n${trailer}\r\n\r\n${behind}`,
    expect: refused,
  })),
  {
    name: 'a request behind the last chunk is a request of its own',
    source: 'RFC 9112 9.3.2',
    bytes: `${head}5\r\nhello\r\n0\r\n\r\n${behind}`,
    expect: { forwarded: [{ line: 'POST /case', body: 'hello' }, { line: 'GET /smuggled' }] },
  },
]
