import './settings.css'
import {
  ArrowLeft,
  Ban,
  Bot,
  ChartColumn,
  Coins,
  CreditCard,
  type IconNode,
  LogOut,
  MonitorSmartphone,
  ReceiptText,
  Shield,
  SlidersHorizontal,
  UserRound,
} from 'lucide'
import type { ComponentType } from 'preact'
import { CreditsSection } from '../billing/credits.section.tsx'
import { PaymentPage } from '../billing/payment.page.tsx'
import { PaymentsSection } from '../billing/payments.section.tsx'
import { PlanSection } from '../billing/plan.section.tsx'
import { UsageSection } from '../billing/usage.section.tsx'
import { t } from '../i18n.ts'
import { followLink } from '../router.ts'
import { me, signOut } from '../state/session.ts'
import { Button } from '../ui/button.tsx'
import { ConfirmButton } from '../ui/confirm.tsx'
import { Icon } from '../ui/icon.tsx'
import { AgentsSection } from './agents.section.tsx'
import { BlockedSection } from './blocked.section.tsx'
import { PreferencesSection } from './preferences.section.tsx'
import { ProfileSection } from './profile.section.tsx'
import { groups, type SectionId, shownAt } from './sections.ts'
import { SecuritySection } from './security.section.tsx'
import { SessionsSection } from './sessions.section.tsx'

const pages: Record<SectionId, { icon: IconNode; Section: ComponentType }> = {
  profile: { icon: UserRound, Section: ProfileSection },
  security: { icon: Shield, Section: SecuritySection },
  sessions: { icon: MonitorSmartphone, Section: SessionsSection },
  preferences: { icon: SlidersHorizontal, Section: PreferencesSection },
  blocked: { icon: Ban, Section: BlockedSection },
  agents: { icon: Bot, Section: AgentsSection },
  plan: { icon: CreditCard, Section: PlanSection },
  usage: { icon: ChartColumn, Section: UsageSection },
  credits: { icon: Coins, Section: CreditsSection },
  payments: { icon: ReceiptText, Section: PaymentsSection },
}

/** The account, its plan and its agents: a list of sections, and the one that the path names. */
export function SettingsScreen({ path }: { path: string }) {
  const { section, paymentId } = shownAt(path)
  const shown = section ?? 'profile'
  const { Section } = pages[shown]
  return (
    <div class={section ? 'settings settings-at-section' : 'settings settings-at-list'}>
      <nav class="settings-list" aria-label={t('account:settings')}>
        <header class="settings-head">
          <a class="settings-home" href="/" onClick={followLink} aria-label={t('common:home')}>
            <Icon of={ArrowLeft} />
          </a>
          <h1>{t('account:settings')}</h1>
        </header>
        {groups.map(({ id, sections }) => (
          <section key={id} aria-label={t(`account:group_${id}`)}>
            <h2 class="settings-group">{t(`account:group_${id}`)}</h2>
            <ul>
              {sections.map((one) => (
                <li key={one}>
                  <a href={`/settings/${one}`} onClick={followLink} aria-current={one === shown ? 'page' : undefined}>
                    <Icon of={pages[one].icon} />
                    {t(`account:section_${one}`)}
                  </a>
                </li>
              ))}
            </ul>
          </section>
        ))}
        <SignOut />
      </nav>
      <div class="settings-page" key={path}>
        <header class="settings-head">
          <a class="settings-back" href="/settings" onClick={followLink} aria-label={t('account:settings')}>
            <Icon of={ArrowLeft} />
          </a>
          <h1>{t(`account:section_${shown}`)}</h1>
        </header>
        {paymentId ? <PaymentPage id={paymentId} /> : <Section />}
      </div>
    </div>
  )
}

/** Guests lose their account by it, and are asked. */
function SignOut() {
  const label = t('account:signOut')
  return (
    <p class="settings-out">
      {me.value?.email ? (
        <Button icon={LogOut} onPress={signOut}>
          {label}
        </Button>
      ) : (
        <ConfirmButton icon={LogOut} label={label} question={t('account:signOutQuestion')} onConfirm={signOut} />
      )}
    </p>
  )
}
