/** Content-Length: more than one, not a number, or beside a transfer coding. */

import { behind, forwarded, get, post, refused, type Case } from './case.ts'

const long = behind.length

export const lengthCases: readonly Case[] = [
  {
    name: 'a length and a coding, length first',
    source: 'RFC 9112 6.1; CL.TE: Linhart et al. 2005, Kettle 2019 "HTTP Desync Attacks"',
    bytes: `${post}Content-Length: ${long + 5}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${behind}`,
    expect: refused,
  },
  {
    name: 'a length and a coding, coding first',
    source: 'RFC 9112 6.1; TE.CL: Kettle 2019',
    bytes: `${post}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n${long.toString(16)}\r\n${behind}\r\n0\r\n\r\n`,
    expect: refused,
  },
  {
    name: 'a length of 0 and a coding',
    source: 'TE.0: Arnolfo, Gregorio, _medusa_1_ 2024, "Unveiling TE.0 HTTP request smuggling"',
    bytes: `${post}Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n${long.toString(16)}\r\n${behind}\r\n0\r\n\r\n`,
    expect: refused,
  },
  {
    name: 'two lengths that differ',
    source: 'RFC 9112 6.3; CVE-2019-16869 (Netty), Linhart et al. 2005 (CL.CL)',
    bytes: `${post}Content-Length: 0\r\nContent-Length: ${long}\r\n\r\n${behind}`,
    expect: refused,
  },
  {
    name: 'two lengths that agree',
    source: 'RFC 9112 6.3 (may be refused); Http11Probe SMUG-DUPLICATE-CL',
    bytes: `${post}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello`,
    expect: refused,
  },
  {
    name: 'a list of lengths that agree',
    source: 'RFC 9110 8.6; Http11Probe SMUG-CL-COMMA-SAME',
    bytes: `${post}Content-Length: 5, 5\r\n\r\nhello`,
    expect: refused,
  },
  {
    name: 'a list of lengths that differ',
    source: 'RFC 9110 8.6; CVE-2022-2880 family, Klein 2020 "HTTP Request Smuggling in 2020"',
    bytes: `${post}Content-Length: 5, 0\r\n\r\nhello`,
    expect: refused,
  },
  ...[
    ['a plus', '+5', 'CVE-2018-7159 (Node), CVE-2020-15810 (Squid): signs in a length'],
    ['a minus', '-5', 'RFC 9110 8.6; Http11Probe SMUG-CL-NEGATIVE'],
    ['hexadecimal', '0x5', 'RFC 9110 8.6; Http11Probe SMUG-CL-HEX-PREFIX'],
    ['octal as some write it', '0o5', 'RFC 9110 8.6; Http11Probe SMUG-CL-OCTAL'],
    ['an exponent', '5e0', 'RFC 9110 8.6'],
    ['a point', '5.0', 'RFC 9110 8.6'],
    ['a blank inside', '5 0', 'CVE-2018-7159 (Node): blanks inside Content-Length'],
    ['letters behind', '5abc', 'Klein 2020: "Content-Length abcde"'],
    ['quotes', '"5"', 'RFC 9110 8.6'],
    ['an underscore', '1_0', 'Python int() reads it: CVE-2022-24801 family (Twisted)'],
    ['more than 64 bits', '18446744073709551621', 'integer overflow: CVE-2021-40346 (HAProxy) family'],
    ['more than 2^53', '9007199254740993', 'numbers that lose precision; Http11Probe SMUG-CL-OVERFLOW'],
    ['nothing', '', 'CVE-2023-40225 (HAProxy): empty Content-Length'],
    ['a vertical tab before', '\v5', 'CVE-2019-18277 (HAProxy) family: whitespace that is none'],
    ['a no-break space before', '\xa05', 'CVE-2022-24801 (Twisted): whitespace that is none'],
  ].map(([what = '', value = '', source = '']): Case => ({
    name: `a length with ${what}`,
    source,
    bytes: `${post}Content-Length: ${value}\r\n\r\nhello${behind}`,
    expect: refused,
  })),
  {
    name: 'a length with zeros before it is written anew without them',
    source: 'RFC 9110 8.6 allows them; Http11Probe SMUG-CL-LEADING-ZEROS (read as octal by some)',
    bytes: `${post}Content-Length: 0010\r\n\r\n0123456789`,
    expect: forwarded('POST /case', '0123456789', { 'content-length': ['10'] }),
  },
  {
    name: 'blanks around a length are dropped',
    source: 'RFC 9112 5.1: optional whitespace around a value',
    bytes: `${post}Content-Length: \t 5 \t \r\n\r\nhello`,
    expect: forwarded('POST /case', 'hello', { 'content-length': ['5'] }),
  },
  {
    name: 'a body without a length is the next request, on POST',
    source: 'CL.0: Kettle 2022 "Browser-Powered Desync Attacks"',
    bytes: `${post}\r\n${behind}`,
    expect: {
      forwarded: [{ line: 'POST /case', headers: { 'content-length': ['0'] } }, { line: 'GET /smuggled' }],
    },
  },
  {
    name: 'the body of a GET stays its body',
    source: 'CL.0 on GET: Kettle 2022; CVE-2022-32215 family',
    bytes: `${get}Content-Length: ${long}\r\n\r\n${behind}`,
    expect: forwarded('GET /case', behind, { 'content-length': [String(long)] }),
  },
  {
    name: 'the body of a HEAD stays its body',
    source: 'HEAD tunnelling: Kettle 2022; RFC 9110 9.3.2',
    bytes: `HEAD /case HTTP/1.1\r\nHost: a\r\nContent-Length: ${long}\r\n\r\n${behind}`,
    expect: forwarded('HEAD /case', behind, { 'content-length': [String(long)] }),
  },
  {
    name: 'the body of an OPTIONS stays its body',
    source: 'TE.0 used OPTIONS: Arnolfo et al. 2024',
    bytes: `OPTIONS /case HTTP/1.1\r\nHost: a\r\nContent-Length: ${long}\r\n\r\n${behind}`,
    expect: forwarded('OPTIONS /case', behind, { 'content-length': [String(long)] }),
  },
  {
    name: 'a body that is longer than its length is another request',
    source: 'RFC 9112 6.3; pause-based desync: Kettle 2022',
    bytes: `${post}Content-Length: 5\r\n\r\nhello${behind}`,
    expect: { forwarded: [{ line: 'POST /case', body: 'hello' }, { line: 'GET /smuggled' }] },
  },
  {
    name: 'a length over the limit is refused before the body comes',
    source: 'RFC 9110 15.5.14',
    bytes: `${post}Content-Length: 999999999\r\n\r\n`,
    expect: { refused: 413 },
  },
  {
    name: 'a length in a header with a blank before its name',
    source: 'CVE-2024-27982 (Node); 0.CL: Kettle 2025 "HTTP/1.1 must die", Watchfire 2005',
    bytes: `POST /case HTTP/1.1\r\n Content-Length: ${long}\r\nHost: a\r\n\r\n${behind}`,
    expect: refused,
  },
  {
    name: 'a length folded to the next line',
    source: '0.CL with folding: Kettle 2025; RFC 9112 5.2',
    bytes: `${post}Content-Length:\r\n ${long}\r\n\r\n${behind}`,
    expect: refused,
  },
  {
    name: 'a length with a blank before its colon',
    source: 'RFC 9112 5.1; CVE-2019-16276 (Go), CVE-2021-22959 (Node)',
    bytes: `${post}Content-Length : ${long}\r\n\r\n${behind}`,
    expect: refused,
  },
  {
    name: 'a length hidden behind a header that ends in a bare LF',
    source: 'CVE-2022-32214 (Node); Kettle 2019 ("X: x\\nTransfer-Encoding")',
    bytes: `${post}X: y\nContent-Length: ${long}\r\n\r\n${behind}`,
    expect: refused,
  },
  {
    name: 'a header whose name only looks like a length goes on as it is, and frames nothing',
    source: 'Kettle 2019; CVE-2023-25690 family: Content_Length read as Content-Length by CGI-like servers',
    bytes: `${post}Content_Length: 5\r\nContent-Length: 2\r\n\r\nhi`,
    expect: forwarded('POST /case', 'hi', { 'content-length': ['2'], content_length: ['5'] }),
  },
]
