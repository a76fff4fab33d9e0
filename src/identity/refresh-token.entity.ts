import { defineEntity, p } from '@mikro-orm/core'
import { createdAtColumn, timestamp } from '../database/base.entity.ts'
import { User } from './user.entity.ts'

/**
 * A refresh token, by its SHA-256. Each is traded once for the next of its family; a family is one login, and its id is
 * the session id in access tokens. Presenting a traded token again means that it was stolen: the family is revoked.
 */
const schema = defineEntity({
  name: 'RefreshToken',
  tableName: 'refresh_tokens',
  properties: {
    tokenHash: p.blob().primary(),
    user: () => p.manyToOne(User).deleteRule('cascade').index('refresh_tokens_user'),
    familyId: p.uuid().index('refresh_tokens_family'),
    /** What the login came from: `{ name, userAgent, ip }`. */
    device: p.json<{ name?: string; userAgent?: string; ip?: string }>().nullable(),
    /** When its family began, by a proof of who the user is. */
    loggedInAt: timestamp(),
    expiresAt: timestamp().index('refresh_tokens_expires'),
    rotatedAt: timestamp().nullable(),
    revokedAt: timestamp().nullable(),
    ...createdAtColumn,
  },
})

export class RefreshToken extends schema.class {}
schema.setClass(RefreshToken)
