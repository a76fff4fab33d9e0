import assert from 'node:assert/strict'
import { createHash, createHmac, randomBytes, randomInt } from 'node:crypto'
import { test } from 'node:test'
import { verifyTelegram } from '../../src/identity/telegram.ts'
import { withCode } from '../support/identity.ts'
import { initData, widget } from '../support/telegram.ts'

const token = '123456789:AAF0000000000000000000000000000000000'
const now = 1_795_257_002
const fields = {
  id: '279058397',
  first_name: 'Vladislav & co = + ? /',
  last_name: '김',
  username: 'vdk',
  photo_url: 'https://t.me/i/userpic/320/x.svg',
  auth_date: String(now),
}
const user = {
  id: 279058397,
  first_name: fields.first_name,
  last_name: fields.last_name,
  username: fields.username,
  language_code: 'ko',
  is_premium: true,
  photo_url: fields.photo_url,
}
const data = {
  query_id: 'AAHdF6IQAAAAAN0XohDhrOrc',
  user: JSON.stringify(user),
  auth_date: String(now),
  chat_instance: '-3788475317572404878',
  start_param: 'ref_1',
  signature: 'zL-ucjNyREiHDE8aihFwpfR9aggP2xiAo3NSpfe-p7I',
}
const known = {
  id: '279058397',
  firstName: fields.first_name,
  lastName: fields.last_name,
  username: 'vdk',
  photoUrl: fields.photo_url,
}

const byWidget = (given: Record<string, string>, at = now) => verifyTelegram(token, { widget: given }, at * 1000)
const byInitData = (given: string, at = now) => verifyTelegram(token, { initData: given }, at * 1000)

const refused = (verify: () => unknown, message?: string) => assert.throws(verify, withCode('unauthenticated'), message)

test('values that others have published verify, the newer ones with a signature beside the hash', () => {
  // from the documentation of the packages of Telegram-Mini-Apps (init-data-golang), tokens included
  const older =
    'query_id=AAHdF6IQAAAAAN0XohDhrOrc&user=%7B%22id%22%3A279058397%2C%22first_name%22%3A%22Vladislav%22%2C%22' +
    'last_name%22%3A%22Kibenko%22%2C%22username%22%3A%22vdkfrost%22%2C%22language_code%22%3A%22ru%22%2C%22' +
    'is_premium%22%3Atrue%7D&auth_date=1662771648' +
    '&hash=c501b71e775f74ce10e377dea85a7ea24ecd640b223ea86dfe453e0eaed2e2b2'
  const newer =
    'user=%7B%22id%22%3A279058397%2C%22first_name%22%3A%22Vladislav%20%2B%20-%20%3F%20%5C%2F%22%2C%22last_name%22%3A' +
    '%22Kibenko%22%2C%22username%22%3A%22vdkfrost%22%2C%22language_code%22%3A%22ru%22%2C%22is_premium%22%3Atrue%2C%22' +
    'allows_write_to_pm%22%3Atrue%2C%22photo_url%22%3A%22https%3A%5C%2F%5C%2Ft.me%5C%2Fi%5C%2Fuserpic%5C%2F320%5C%2F' +
    '4FPEE4tmP3ATHa57u6MqTDih13LTOiMoKoLDRG4PnSA.svg%22%7D&chat_instance=8134722200314281151&chat_type=private' +
    '&auth_date=1733509682&signature=TYJxVcisqbWjtodPepiJ6ghziUL94-KNpG8Pau-X7oNNLNBM72APCpi_RKiUlBvcqo5L-LAxIc3dnTzc' +
    'ZX_PDg&hash=a433d8f9847bd6addcc563bff7cc82c89e97ea0d90c11fe5729cae6796a36d73'
  const olderBot = '5768337691:AAH5YkoiEuPk8-FZa32hStHTqXiLPtAEhx8'
  const newerBot = '7342037359:AAHI25ES9xCOMPokpYoz-p8XVrZUdygo2J4'
  assert.equal(verifyTelegram(olderBot, { initData: older }, 1_662_771_648_000).username, 'vdkfrost')
  assert.equal(verifyTelegram(newerBot, { initData: newer }, 1_733_509_682_000).firstName, 'Vladislav + - ? /')
  refused(() => verifyTelegram(olderBot, { initData: newer }, 1_733_509_682_000))
  refused(() => verifyTelegram(newerBot, { initData: newer.replace('TYJ', 'TYK') }, 1_733_509_682_000))
})

test('what Telegram signed for this bot says who it is', () => {
  assert.deepEqual(byWidget(widget(token, fields)), { ...known, languageCode: undefined })
  assert.deepEqual(byInitData(initData(token, data)), { ...known, languageCode: 'ko' })
  const few = { id: '5', auth_date: String(now) }
  assert.equal(byWidget(widget(token, few)).id, '5')
  assert.equal(byInitData(initData(token, { user: '{"id":5}', auth_date: String(now) })).id, '5')
})

test('a change of any field, one more and one less are noticed', () => {
  for (const name of Object.keys(fields) as (keyof typeof fields)[]) {
    const good = widget(token, fields)
    refused(() => byWidget({ ...good, [name]: name === 'id' ? '279058398' : `${good[name]}1` }), name)
    const { [name]: _gone, ...less } = good
    refused(() => byWidget(less as Record<string, string>), `without ${name}`)
  }
  refused(() => byWidget({ ...widget(token, fields), is_admin: 'true' }))
  for (const name of Object.keys(data) as (keyof typeof data)[]) {
    const good = new URLSearchParams(initData(token, data))
    const changed = new URLSearchParams(good)
    changed.set(name, name === 'user' ? data.user.replace('279058397', '279058398') : `${data[name]}1`)
    refused(() => byInitData(changed.toString()), name)
    good.delete(name)
    refused(() => byInitData(good.toString()), `without ${name}`)
  }
  refused(() => byInitData(`${initData(token, data)}&is_admin=true`))
})

test('a hash that is missing, cut, of another case, doubled or of another bot proves nothing', () => {
  const good = widget(token, fields)
  const { hash = '', ...unsigned } = good
  for (const bad of ['', hash.slice(0, 63), `${hash}0`, hash.toUpperCase(), `0x${hash.slice(2)}`, 'g'.repeat(64)]) {
    refused(() => byWidget({ ...good, hash: bad }), bad)
  }
  refused(() => byWidget(unsigned))
  refused(() => byWidget(widget('123456789:BBF0000000000000000000000000000000000', fields)))
  refused(() => byWidget(widget('', fields)))
  const text = initData(token, data)
  for (const bad of [
    '',
    'hash=',
    'x',
    '&&&',
    '%',
    text.replace('hash=', 'HASH='),
    `${text}&hash=${hash}`,
    text.slice(1),
  ]) {
    refused(() => byInitData(bad), bad)
  }
})

test('what was signed for the one way does not pass on the other', () => {
  const key = createHmac('sha256', 'WebAppData').update(token).digest()
  const lines = Object.entries(fields).map((field) => field.join('='))
  const hash = createHmac('sha256', key).update(lines.sort().join('\n')).digest('hex')
  refused(() => byWidget({ ...fields, hash }))
  const widgetKey = createHash('sha256').update(token).digest()
  const dataLines = Object.entries(data).map((field) => field.join('='))
  const dataHash = createHmac('sha256', widgetKey).update(dataLines.sort().join('\n')).digest('hex')
  refused(() => byInitData(new URLSearchParams({ ...data, hash: dataHash }).toString()))
})

test('it counts for five minutes, and a minute ahead of our clock', () => {
  for (const verify of [
    (at: number) => byWidget(widget(token, fields), at),
    (at: number) => byInitData(initData(token, data), at),
  ]) {
    for (const at of [now - 60, now, now + 300]) assert.equal(verify(at).id, '279058397')
    for (const at of [now - 61, now + 301, now + 86_400]) refused(() => verify(at), String(at - now))
  }
  for (const date of ['', 'now', `${now}.5`, `${now}e0`, ` ${now}`, `0x${now.toString(16)}`, '-1', 'Infinity', 'NaN']) {
    refused(() => byWidget(widget(token, { ...fields, auth_date: date })), date)
    refused(() => byInitData(initData(token, { ...data, auth_date: date })), date)
  }
})

test('an id of 64 bits keeps every digit, and what is no such id is none', () => {
  for (const id of ['1', '9007199254740993', '9223372036854775807', '9223372036854775808', '18446744073709551615']) {
    assert.equal(byWidget(widget(token, { ...fields, id })).id, id)
    assert.equal(byInitData(initData(token, { ...data, user: `{"first_name":"A","id":${id}}` })).id, id)
  }
  for (const id of ['18446744073709551616', '99999999999999999999', '0', '-1', '1.5', '1e3', '', '+1', '007', 'null']) {
    refused(() => byWidget(widget(token, { ...fields, id })), id)
    refused(() => byInitData(initData(token, { ...data, user: `{"id":${id}}` })), id)
  }
  for (const bad of ['', '{}', '[]', '5', 'null', '{"id":[5]}', '{"id":{"id":5}}', '{"id":true}', '{"id":5'])
    refused(() => byInitData(initData(token, { ...data, user: bad })), bad)
  const { user: _nobody, ...none } = data
  refused(() => byInitData(initData(token, none)))
})

test('no value passes for several fields', () => {
  // somebody whose first name is three lines long has the bot sign what reads like another id
  const own = { auth_date: String(now), first_name: 'x\nid=2\nlast_name=y', id: '1', username: 'u' }
  const { hash } = widget(token, own)
  refused(() =>
    byWidget({ auth_date: String(now), first_name: 'x', id: '2', last_name: 'y\nid=1', username: 'u', hash: hash! }),
  )
  refused(() => byWidget(widget(token, own)))
  refused(() => byInitData(initData(token, { ...data, start_param: 'x\nuser={"id":2}' })))
  const twice = `${initData(token, data)}&user=${encodeURIComponent('{"id":2}')}`
  refused(() => byInitData(twice))
})

test('of a thousand that are damaged at random none verifies', () => {
  for (let round = 0; round < 1000; round++) {
    const good = initData(token, { ...data, start_param: randomBytes(randomInt(20)).toString('base64url') })
    assert.equal(byInitData(good).id, '279058397')
    const at = randomInt(good.length)
    const other = String.fromCharCode(33 + randomInt(94))
    const damaged = good.slice(0, at) + other + good.slice(at + 1)
    // an escape in another spelling says the same
    const isSame = new URLSearchParams(damaged).toString() === new URLSearchParams(good).toString()
    if (!isSame) refused(() => byInitData(damaged), damaged)
  }
})
