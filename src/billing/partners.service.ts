import { sql } from 'kysely'
import { z } from 'zod'
import { type Database, run } from '../database/database.ts'
import { brokenUnique } from '../database/failures.ts'
import type { Clock } from '../kernel/clock.ts'
import { decodeCursor, encodeCursor, keyId } from '../kernel/cursors.ts'
import type { DomainEvents } from '../kernel/domain-events.ts'
import { AppError, forbidden, notFound } from '../kernel/errors.ts'
import { newId } from '../kernel/ids.ts'
import type { Actor } from '../kernel/operation.ts'
import type { Fanout } from '../kernel/ports.ts'
import type { PartnerApplication, referralsContract, StaffPartnerApplication } from './referrals.contract.ts'

/** The commission of a partner: half of what those pay whom they bring. */
const partnerRate = '0.50'

const cursorKey = z.tuple([keyId])

type Input<Name extends keyof typeof referralsContract> = z.output<(typeof referralsContract)[Name]['input']>

interface Row {
  id: string
  userId: string
  contactName: string
  contactEmail: string
  telegramUsername: string | null
  audienceSize: StaffPartnerApplication['audienceSize']
  promotionChannels: string[]
  status: PartnerApplication['status']
  reason: string | null
  reviewedBy: string | null
  reviewedAt: string | null
  createdAt: string
}

const columns = sql`id, user_id as "userId", contact_name as "contactName", contact_email as "contactEmail",
  telegram_username as "telegramUsername", audience_size as "audienceSize", promotion_channels as "promotionChannels",
  status, reason, reviewed_by as "reviewedBy", reviewed_at as "reviewedAt", created_at as "createdAt"`

interface PartnersDependencies {
  database: Database
  events: DomainEvents
  fanout: Pick<Fanout, 'toUsers'>
  clock: Clock
}

/** Owns `partner_applications`. Always holds: one pending application a user, by the database's index. */
export function createPartners({ database, events, fanout, clock }: PartnersDependencies) {
  // names and addresses of somebody who has left are nobody's business
  events.on('user.deleting', async (em, { userId }) => {
    await run(em, sql`delete from partner_applications where user_id = ${userId}`)
    return undefined
  })

  return {
    /** @throws AppError conflict where one is pending, or the user is a partner */
    async apply(userId: string, input: Input<'partner:apply'>): Promise<PartnerApplication> {
      try {
        return await database.transact(async (em) => {
          const [partner] = await run(em, sql`select from referral_accounts where user_id = ${userId} and is_partner`)
          if (partner) throw new AppError('conflict', 'You are a partner already.')
          const [row] = await run(
            em,
            sql<Row>`
              insert into partner_applications (id, user_id, contact_name, contact_email, telegram_username,
                audience_size, promotion_channels, created_at)
              values (${newId()}, ${userId}, ${input.contactName}, ${input.contactEmail},
                ${input.telegramUsername ?? null}, ${input.audienceSize}, ${input.promotionChannels}::text[],
                ${clock().toISOString()})
              returning ${columns}`,
          )
          return present(row as Row)
        })
      } catch (error) {
        if (brokenUnique(error) !== 'partner_applications_pending_unique') throw error
        throw new AppError('conflict', 'An application is pending already.')
      }
    },

    /** @throws AppError not_found where there was none */
    async latest(userId: string): Promise<PartnerApplication> {
      const [row] = await database.query(
        sql<Row>`select ${columns} from partner_applications where user_id = ${userId} order by id desc limit 1`,
      )
      if (!row) throw notFound('application')
      return present(row)
    },

    async listAll({ status, cursor, limit }: Input<'staff:partner-applications'>) {
      const after = cursor === undefined ? undefined : decodeCursor(cursor, cursorKey)[0]
      const rows = await database.query(
        sql<Row>`
          select ${columns} from partner_applications
          where status = ${status} ${after ? sql`and id > ${after}::uuid` : sql``}
          order by id limit ${limit + 1}`,
      )
      const items = rows.slice(0, limit)
      const last = items.at(-1)
      const more = rows.length > limit && last
      return { items: items.map(presentForStaff), ...(more && { nextCursor: encodeCursor([last.id]) }) }
    },

    /** @throws AppError not_found, conflict where it was reviewed already, forbidden for one's own */
    async review(
      actor: Actor,
      { applicationId, status, reason }: Input<'staff:review-partner'>,
    ): Promise<StaffPartnerApplication> {
      const row = await database.transact(async (em) => {
        const [found] = await run(
          em,
          sql<Row>`select ${columns} from partner_applications where id = ${applicationId} for no key update`,
        )
        if (!found) throw notFound('application')
        if (found.userId === actor.userId) throw forbidden('Somebody else has to look at your own application.')
        if (found.status !== 'pending') throw new AppError('conflict', `The application is ${found.status} already.`)
        const now = clock().toISOString()
        if (status === 'approved') {
          await run(
            em,
            sql`
              update referral_accounts set is_partner = true, commission_rate = ${partnerRate},
                partner_approved_at = ${now}
              where user_id = ${found.userId}`,
          )
        }
        const [changed] = await run(
          em,
          sql<Row>`
            update partner_applications set status = ${status}, reason = ${reason ?? null},
              reviewed_by = ${actor.userId}, reviewed_at = ${now}
            where id = ${applicationId} returning ${columns}`,
        )
        return changed as Row
      })
      fanout.toUsers([row.userId], 'notification', { kind: 'partner_application', status })
      return presentForStaff(row)
    },
  }
}

const present = (row: Row): PartnerApplication => ({
  id: row.id,
  status: row.status,
  createdAt: new Date(row.createdAt).toISOString(),
  ...(row.reason !== null && { reason: row.reason }),
  ...(row.reviewedAt !== null && { reviewedAt: new Date(row.reviewedAt).toISOString() }),
})

const presentForStaff = (row: Row): StaffPartnerApplication => ({
  ...present(row),
  userId: row.userId,
  contactName: row.contactName,
  contactEmail: row.contactEmail,
  ...(row.telegramUsername !== null && { telegramUsername: row.telegramUsername }),
  audienceSize: row.audienceSize,
  promotionChannels: row.promotionChannels,
  ...(row.reviewedBy !== null && { reviewedBy: row.reviewedBy }),
})
