import { z } from 'zod'
import * as p from '../kernel/primitives.ts'
import { user } from './identity.contract.ts'

/** Somebody whom one has blocked. */
const block = user
  .extend({ createdAt: p.timestamp.meta({ description: 'When you blocked them.' }) })
  .meta({ id: 'Block' })

const userId = '0197a3c2-9c55-7a21-8f13-6b0e4d2c5a77'

/** People and agents that one wants nothing of, by the names of the operations. */
export const blocksContract = {
  'block:add': {
    summary:
      'Block somebody: neither of you can write to the other directly, begin anything new with the other, or see the ' +
      "other's stories and presence. They are not told",
    input: z.strictObject({ userId: p.id }),
    output: p.empty,
    errors: ['not_found', 'unprocessable'],
    example: { input: { userId }, output: {} },
  },
  'block:remove': {
    summary: 'Take a block back',
    input: z.strictObject({ userId: p.id }),
    output: p.empty,
    errors: [],
    example: { input: { userId }, output: {} },
  },
  'block:list': {
    summary: 'Whom you have blocked, newest first',
    input: z.strictObject({ cursor: p.cursor.optional(), limit: p.pageLimit(100, 50) }),
    output: z.object({ items: z.array(block), nextCursor: p.nextCursor }),
    errors: [],
    example: {
      input: { limit: 50 },
      output: {
        items: [
          {
            id: userId,
            kind: 'human',
            username: 'rowdy',
            displayName: 'Rowdy',
            createdAt: '2026-11-21T09:31:47.002Z',
          },
        ],
      },
    },
  },
} as const

export type Block = z.infer<typeof block>
