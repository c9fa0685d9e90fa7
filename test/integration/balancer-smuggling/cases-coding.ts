/** Transfer-Encoding: obfuscated so that one reader sees it and another does not. */

import { behind, forwarded, post, refused, type Case } from './case.ts'

const chunks = `5\r\nhello\r\n0\r\n\r\n`
/** A body that came whole is sent on with its length. */
const whole = { 'transfer-encoding': [], 'content-length': ['5'] }

/** Each beside a length, so that whoever does not see the coding finds another end of the body. */
const hidden: readonly (readonly [what: string, lines: string, source: string])[] = [
  ['another name', 'Transfer-Encoding: xchunked', 'Kettle 2019'],
  ['a blank before the colon', 'Transfer-Encoding : chunked', 'Kettle 2019; CVE-2021-22959 (Node)'],
  ['a tab before the colon', 'Transfer-Encoding\t: chunked', 'CVE-2019-16276 (Go), CVE-2021-22959'],
  ['a tab before the value', 'Transfer-Encoding:\tchunked', 'Kettle 2019 (in favour of the length elsewhere)'],
  ['a tab behind the value', 'Transfer-Encoding: chunked\t', 'Kettle 2019; RFC 9112 5.1 allows it, llhttp does not'],
  ['a vertical tab before the value', 'Transfer-Encoding: \vchunked', 'CVE-2019-18277 (HAProxy)'],
  ['a form feed before the value', 'Transfer-Encoding: \fchunked', 'CVE-2019-18277 family'],
  ['a control before the value', 'Transfer-Encoding: \x01chunked', 'CVE-2019-15605 (Node) family'],
  ['a blank before the name', ' Transfer-Encoding: chunked', 'Kettle 2019; CVE-2024-27982 (Node)'],
  ['folding before the value', 'Transfer-Encoding:\r\n chunked', 'CVE-2022-32215 (Node), RFC 9112 5.2'],
  ['folding inside a list', 'Transfer-Encoding: identity,\r\n chunked', 'CVE-2022-32215 (Node)'],
  ['folding as the first line', 'X: y\r\n Transfer-Encoding: chunked', 'RFC 9112 5.2; Kettle 2019'],
  ['a bare LF before', 'X: y\nTransfer-Encoding: chunked', 'Kettle 2019; CVE-2022-32214 (Node)'],
  ['a bare CR before', 'X: y\rTransfer-Encoding: chunked', 'CVE-2023-30589 (Node)'],
  ['CR CR LF before', 'X: y\r\r\nTransfer-Encoding: chunked', 'CVE-2025-23167 (Node) family'],
  ['a NUL before', 'X: y\0\r\nTransfer-Encoding: chunked', 'CVE-2019-9900 (Envoy): NUL in headers'],
  ['quotes', 'Transfer-Encoding: "chunked"', 'Kettle 2019'],
  ['single quotes', "Transfer-Encoding: 'chunked'", 'Kettle 2019'],
  ['a comma before', 'Transfer-Encoding: , chunked', 'RFC 9110 5.6.1; smuggler.py "prefix"'],
  ['a comma behind', 'Transfer-Encoding: chunked,', 'RFC 9110 5.6.1'],
  ['a parameter', 'Transfer-Encoding: chunked;q=1', 'RFC 9112 7.1; Http11Probe SMUG-CHUNKED-WITH-PARAMS'],
  ['identity behind', 'Transfer-Encoding: chunked, identity', 'RFC 9112 6.3; Kettle 2019'],
  ['identity before', 'Transfer-Encoding: identity, chunked', 'Kettle 2019; CVE-2022-32213 (Node)'],
  ['itself twice', 'Transfer-Encoding: chunked, chunked', 'RFC 9112 7.1; CVE-2024-1135 (Gunicorn)'],
  ['a second header', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: x', 'CVE-2020-8287 (Node), Kettle 2019'],
  ['an equals sign for the colon', 'Transfer-Encoding= chunked', 'Klein 2020'],
  ['nothing', 'Transfer-Encoding:', 'RFC 9112 6.1; Http11Probe SMUG-TE-EMPTY-VALUE'],
]

export const codingCases: readonly Case[] = [
  ...hidden.map(([what, lines, source]): Case => ({
    name: `a coding with ${what}, beside a length`,
    source,
    bytes: `${post}Content-Length: 4\r\n${lines}\r\n\r\n${chunks}${behind}`,
    expect: refused,
  })),
  ...hidden
    .filter(([what]) => what !== 'a tab before the value')
    .map(([what, lines, source]): Case => ({
      name: `a coding with ${what}, and no length`,
      source,
      bytes: `${post}${lines}\r\n\r\n${chunks}${behind}`,
      expect: refused,
    })),
  {
    name: 'a coding that is not chunked',
    source: 'RFC 9112 6.1',
    bytes: `${post}Transfer-Encoding: gzip\r\n\r\n${behind}`,
    expect: refused,
  },
  {
    name: 'a coding before chunked that this server does not know',
    source: 'RFC 9112 6.1 (501 or 400)',
    bytes: `${post}Transfer-Encoding: gzip, chunked\r\n\r\n${chunks}${behind}`,
    expect: refused,
  },
  {
    name: 'a coding in HTTP/1.0',
    source: 'RFC 9112 6.1; Http11Probe SMUG-TE-HTTP10',
    bytes: `POST /case HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}${behind}`,
    expect: refused,
  },
  {
    name: 'a header whose name only looks like a coding frames nothing',
    source: 'Kettle 2019: Transfer_Encoding read as Transfer-Encoding by CGI-like servers',
    bytes: `${post}Transfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello`,
    expect: forwarded('POST /case', 'hello', whole),
  },
  {
    name: 'a coding in another case is written anew',
    source: 'RFC 9110 5.1, RFC 9112 7: names of codings know no case',
    bytes: `${post}tRANSFER-eNCODING: ChUnKeD\r\n\r\n${chunks}`,
    expect: forwarded('POST /case', 'hello', whole),
  },
  {
    name: 'a coding after a tab is written anew',
    source: 'RFC 9112 5.1; Kettle 2019',
    bytes: `${post}Transfer-Encoding:\tchunked \r\n\r\n${chunks}`,
    expect: forwarded('POST /case', 'hello', whole),
  },
  {
    name: 'a chunked body of a GET stays its body',
    source: 'TE.0: Arnolfo et al. 2024',
    bytes: `GET /case HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${behind.length.toString(16)}\r\n${behind}\r\n0\r\n\r\n`,
    expect: forwarded('GET /case', behind, { 'transfer-encoding': [] }),
  },
  {
    name: 'a chunked body of an OPTIONS stays its body',
    source: 'TE.0: Arnolfo et al. 2024',
    bytes: `OPTIONS /case HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${behind.length.toString(16)}\r\n${behind}\r\n0\r\n\r\n`,
    expect: forwarded('OPTIONS /case', behind, { 'transfer-encoding': [] }),
  },
  {
    name: 'TE is of one hop; trailers are asked for anew',
    source: 'RFC 9110 10.1.4',
    bytes: `${post}TE: trailers, deflate;q=0.5\r\nConnection: TE\r\nContent-Length: 0\r\n\r\n`,
    expect: forwarded('POST /case', '', { te: ['trailers'] }),
  },
]
