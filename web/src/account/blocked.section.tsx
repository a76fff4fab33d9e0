import type { Block } from '../../../src/client/index.ts'
import { formatDay, t } from '../i18n.ts'
import { client } from '../state/session.ts'
import { Avatar } from '../ui/avatar.tsx'
import { Button } from '../ui/button.tsx'
import { PagesEnd, usePages } from '../ui/pages.tsx'
import { Card } from './card.tsx'

/** Whom one wants nothing of, until one does again. */
export function BlockedSection() {
  const pages = usePages<Block>('/v1/me/blocks')

  async function unblock({ id }: Block): Promise<void> {
    await client.rest.request('DELETE', `/v1/me/blocks/${id}`)
    pages.set(pages.items?.filter((one) => one.id !== id) ?? [])
  }

  return (
    <Card title={t('account:section_blocked')} hint={t('account:blockedHint')}>
      <ul class="settings-rows">
        {pages.items?.map((block) => (
          <li key={block.id}>
            <Avatar name={block.displayName} url={block.avatarUrl} kind={block.kind} size={36} />
            <span class="settings-main">
              <strong dir="auto">{block.displayName}</strong>
              <span class="quiet">{t('account:blockedAt', { when: formatDay(block.createdAt) })}</span>
            </span>
            <Button aria-label={t('account:unblockWho', { name: block.displayName })} onPress={() => unblock(block)}>
              {t('account:unblock')}
            </Button>
          </li>
        ))}
      </ul>
      <PagesEnd of={pages} empty={t('account:noBlocked')} />
    </Card>
  )
}
