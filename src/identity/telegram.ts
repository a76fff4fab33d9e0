import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { AppError } from '../kernel/errors.ts'

/** What Telegram signed longer ago may be a copy that somebody found. */
const maxAgeSeconds = 300
/** How far Telegram's clock may be ahead of ours. */
const maxAheadSeconds = 60
const largestId = 2n ** 64n - 1n

/** What Telegram says of someone. */
export interface TelegramUser {
  /** A 64-bit integer in decimal: a double would lose digits. */
  id: string
  firstName: string | undefined
  lastName: string | undefined
  username: string | undefined
  photoUrl: string | undefined
  languageCode: string | undefined
}

/** What a client has from Telegram: the data of a Mini App, or those of the Login Widget. */
export type TelegramProof =
  | { initData: string; widget?: undefined }
  | { initData?: undefined; widget: Record<string, string | undefined> }

/**
 * Who it is, by the proof that a client has from Telegram.
 * @param now milliseconds since 1970
 * @throws AppError unauthenticated where it was not signed for this bot, or not within the last 5 minutes
 */
export function verifyTelegram(botToken: string, proof: TelegramProof, now: number): TelegramUser {
  return proof.widget === undefined
    ? verifyInitData(botToken, proof.initData, now)
    : verifyWidget(botToken, proof.widget, now)
}

/** https://core.telegram.org/widgets/login#checking-authorization */
function verifyWidget(botToken: string, widget: Record<string, string | undefined>, now: number): TelegramUser {
  const fields = Object.entries(widget).filter((field): field is [string, string] => field[1] !== undefined)
  const signed = verify(fields, createHash('sha256').update(botToken).digest(), now)
  return userOf({ ...Object.fromEntries(signed), language_code: undefined })
}

/** https://core.telegram.org/bots/webapps#validating-data-received-via-the-mini-app */
function verifyInitData(botToken: string, initData: string, now: number): TelegramUser {
  const fields = [...new URLSearchParams(initData)]
  const signed = verify(fields, createHmac('sha256', 'WebAppData').update(botToken).digest(), now)
  const user = signed.find(([name]) => name === 'user')?.[1]
  if (user === undefined) throw invalid()
  return userOf(parseExactly(user))
}

/**
 * The fields that the hash among them vouches for: HMAC-SHA-256 over all others, `signature` too, as sorted lines
 * `name=value`. A line feed is refused, since it would let one value pass for several fields.
 */
function verify(fields: [string, string][], key: Buffer, now: number): [string, string][] {
  const names = fields.map(([name]) => name)
  if (new Set(names).size !== names.length || fields.some((field) => field.join('').includes('\n'))) throw invalid()
  const hash = fields.find(([name]) => name === 'hash')?.[1] ?? ''
  const signed = fields.filter(([name]) => name !== 'hash')
  const lines = signed.map((field) => field.join('=')).sort(byCodeUnits)
  const expected = createHmac('sha256', key).update(lines.join('\n')).digest()
  if (!/^[0-9a-f]{64}$/.test(hash) || !timingSafeEqual(Buffer.from(hash, 'hex'), expected)) throw invalid()

  const date = signed.find(([name]) => name === 'auth_date')?.[1] ?? ''
  if (!/^\d{1,12}$/.test(date)) throw invalid()
  const age = now / 1000 - Number(date)
  if (age > maxAgeSeconds || age < -maxAheadSeconds) throw stale()
  return signed
}

const byCodeUnits = (a: string, b: string): number => (a < b ? -1 : 1)

/** JSON with its numbers as the texts that stand there. */
function parseExactly(json: string): unknown {
  // the third argument is newer than the types
  const exactly = (_name: string, value: unknown, context?: { source?: string }): unknown =>
    typeof value === 'number' ? context?.source : value
  try {
    return JSON.parse(json, exactly)
  } catch {
    throw invalid()
  }
}

const optionalText = z.string().optional().catch(undefined)

const userSchema = z.object({
  id: z.string().refine((value) => /^[1-9]\d{0,19}$/.test(value) && BigInt(value) <= largestId),
  first_name: optionalText,
  last_name: optionalText,
  username: optionalText,
  photo_url: optionalText,
  language_code: optionalText,
})

function userOf(fields: unknown): TelegramUser {
  const user = userSchema.safeParse(fields)
  if (!user.success) throw invalid()
  const { id, first_name, last_name, username, photo_url, language_code } = user.data
  return {
    id,
    firstName: first_name,
    lastName: last_name,
    username,
    photoUrl: photo_url,
    languageCode: language_code,
  }
}

const invalid = () => new AppError('unauthenticated', 'These data are not signed by Telegram for this server.')

const stale = () => new AppError('unauthenticated', 'These data of Telegram are not fresh. Log in at Telegram again.')
