import { createSecretKey, type KeyObject } from 'node:crypto'
import jwt from 'jsonwebtoken'
import { z } from 'zod'
import { AppError } from '../kernel/errors.ts'
import type { Actor } from '../kernel/operation.ts'

const issuer = 'kintsugi'

/** How an access token is checked, wherever it comes in. The algorithm is pinned: the token's header has no say in it. */
export const verifyOptions = { algorithms: ['HS256' as const], issuer, ignoreExpiration: false }

const claimsSchema = z.object({
  /** The user. */
  sub: z.uuid(),
  /** The login: its refresh token family. */
  sid: z.uuid(),
  /** Seconds since 1970. */
  exp: z.int(),
})

/** What is believed of a verified token. Its `role` is for clients: the server reads the role where it reads the ban. */
export type Claims = z.infer<typeof claimsSchema>

/** The secret as a key, made once: from a string, each verification would first try to parse it as PEM. */
export const tokenKey = (secret: string): KeyObject => createSecretKey(Buffer.from(secret))

/** Signs an access token that lasts for so many seconds from now. */
export const signAccessToken = (key: KeyObject, { userId, sessionId, role }: Actor, seconds: number): string =>
  jwt.sign({ sid: sessionId, role }, key, { algorithm: 'HS256', issuer, subject: userId, expiresIn: seconds })

/**
 * Checks signature, algorithm, issuer and expiry.
 * @throws AppError token_expired, unauthenticated
 */
export function verifyAccessToken(key: KeyObject, token: string): Claims {
  try {
    return readClaims(jwt.verify(token, key, verifyOptions))
  } catch (error) {
    throw refusal(error)
  }
}

/**
 * The claims of a payload whose signature has been checked.
 * @throws AppError unauthenticated where one of ours is missing
 */
export function readClaims(payload: unknown): Claims {
  const claims = claimsSchema.safeParse(payload)
  if (!claims.success) throw refusal(claims.error)
  return claims.data
}

/** What the caller hears when a token did not verify. Which check it failed is for the log: it would help only forgers. */
export function refusal(cause: unknown): AppError {
  // by name: passport-jwt may come with its own copy of jsonwebtoken, whose classes are others
  return cause instanceof Error && cause.name === 'TokenExpiredError'
    ? new AppError('token_expired', 'The access token has expired.', { cause })
    : new AppError('unauthenticated', 'The access token is not valid.', { cause })
}
