import { sql } from 'kysely'
import type { Database } from '../database/database.ts'
import { inPages } from '../kernel/pages.ts'
import type { ExportSection } from '../kernel/ports.ts'
import { timeOf } from './export-sections.ts'

const pageSize = 200

/** What the referral programme knows of a user; whom somebody has brought is those people's own. */
export function referralSections(database: Pick<Database, 'query'>): ExportSection[] {
  return [
    {
      name: 'referrals',
      about: 'Your referral code, and what it has brought.',
      async *rows(userId) {
        yield* await database.query(
          sql<object>`
            select code, is_partner as "isPartner", commission_rate::float8 as "commissionRate",
              referrals_count as "referralsCount", balance, total_earned as "totalEarned", currency
            from referral_accounts where user_id = ${userId}`,
        )
      },
    },
    {
      name: 'referral-earnings',
      about: 'Commissions on payments of people who came by your code.',
      rows: (userId) =>
        inPages<{ id: string }>((after) =>
          database.query(sql`
            select id, amount, currency, commission_rate::float8 as "commissionRate", status,
              ${timeOf('created_at')} as "createdAt", ${timeOf('reversed_at')} as "reversedAt"
            from referral_earnings where referrer_id = ${userId} ${after ? sql`and id > ${after.id}` : sql``}
            order by id limit ${pageSize}`),
        ),
    },
    {
      name: 'withdrawals',
      about: 'What you have asked to be paid out, and where to.',
      rows: (userId) =>
        inPages<{ id: string }>((after) =>
          database.query(sql`
            select id, amount, currency, method, details, status, to_json(reason) as reason,
              ${timeOf('created_at')} as "createdAt", ${timeOf('processed_at')} as "processedAt"
            from withdrawal_requests where user_id = ${userId} ${after ? sql`and id > ${after.id}` : sql``}
            order by id limit ${pageSize}`),
        ),
    },
    {
      name: 'partner-applications',
      about: 'Your applications for the partner programme.',
      rows: (userId) =>
        inPages<{ id: string }>((after) =>
          database.query(sql`
            select id, to_json(contact_name) as "contactName", contact_email as "contactEmail",
              to_json(telegram_username) as "telegramUsername", audience_size as "audienceSize",
              to_json(promotion_channels) as "promotionChannels", status, to_json(reason) as reason,
              ${timeOf('created_at')} as "createdAt", ${timeOf('reviewed_at')} as "reviewedAt"
            from partner_applications where user_id = ${userId} ${after ? sql`and id > ${after.id}` : sql``}
            order by id limit ${pageSize}`),
        ),
    },
  ]
}
