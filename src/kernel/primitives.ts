import { z } from 'zod'

/**
 * Primitives of the contracts. Texts are stored as they came, so what PostgreSQL cannot store (NUL) and what is no
 * Unicode text (lone surrogates) is refused at the edge.
 */
const isStorable = (text: string): boolean => text.isWellFormed() && !text.includes('\0')

const storable = 'must not contain NUL or lone surrogates'

/** A text of up to `max` UTF-16 units, stored untrimmed. */
export const text = (max: number) => z.string().max(max).refine(isStorable, storable)

/** The longest message text, in UTF-16 units. */
export const maxContentLength = 16_000

/** A message text: longer ones are `payload_too_large`, since here the length itself is what the sender has to mend. */
export const content = z
  .string()
  .refine((value) => value.length <= maxContentLength, {
    message: `must be at most ${maxContentLength} characters`,
    params: { code: 'payload_too_large' },
    abort: true,
  })
  .refine(isStorable, storable)
  .meta({ maxLength: maxContentLength })

/** A UUID. Any spelling is taken; one is kept, since ids are compared as texts. */
export const id = z.uuid().toLowerCase()

/** A position in a conversation: `seq` of a message or `change` of any durable change. PostgreSQL `integer`. */
export const position = z.int().min(0).max(2_147_483_647)

/** RFC 3339 in UTC, with milliseconds. */
export const timestamp = z.iso.datetime()

/** A time that a client gives: in years that the database knows. */
export const givenTime = z.iso
  .datetime()
  .refine((value) => /^(19|20|21)/.test(value), 'must lie in the years 1900 to 2199')

/** An opaque place in a list, from `nextCursor` of the page before. */
export const cursor = z.string().min(1).max(200).refine(isStorable, storable)

export const pageLimit = (max: number, standard: number) => z.int().min(1).max(max).default(standard)

export const nextCursor = z.string().optional()

export const empty = z.strictObject({})

/** A user's name: 3–32 letters, digits and `_ . -`; unique without regard to case. */
export const username = z.string().regex(/^[A-Za-z0-9_.-]{3,32}$/, 'must be 3–32 letters, digits, `_`, `.` or `-`')

/** One emoji as people type it, with or without the emoji variation selector. */
export const emoji = z
  .string()
  .max(40)
  .refine((value) => /^(?:\p{RGI_Emoji}|\p{Extended_Pictographic})$/v.test(value), 'must be one emoji')
