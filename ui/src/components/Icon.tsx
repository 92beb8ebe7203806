import {
  IconActivity, IconAddressBook, IconAlertTriangle, IconArchive, IconArrowBackUp, IconBan, IconBarcode, IconBell,
  IconBolt, IconBook, IconBox, IconBriefcase, IconBuildingStore, IconBuildingWarehouse, IconCalendar, IconCash,
  IconChartBar, IconChecklist, IconCircleCheck, IconClipboardList, IconClock, IconCloud, IconCoin, IconCreditCard,
  IconDatabase, IconFile, IconFlag, IconFolder, IconGift, IconHeart, IconHome, IconInbox, IconKey, IconLayout,
  IconLayoutKanban, IconLifebuoy, IconList, IconLock, IconMail, IconMap, IconMessage, IconNotes, IconPackage,
  IconPercentage, IconPlayerPlay, IconReceipt, IconReceiptRefund, IconRefresh, IconRoute, IconScale, IconSend,
  IconSettings, IconShield, IconShoppingCart, IconSitemap, IconStack2, IconStar, IconTable, IconTag, IconTool,
  IconTransfer, IconTruck, IconTruckDelivery, IconUser, IconUsers,
} from '@tabler/icons-react'; // prettier-ignore
import type { ComponentType } from 'react';

interface Drawn {
  size?: number;
  stroke?: number;
  className?: string;
  'aria-hidden'?: boolean;
}

/** The icons that a project may name. The set is small on purpose: each one weighs on the first load. */
export const ICONS: Readonly<Record<string, ComponentType<Drawn>>> = {
  activity: IconActivity, 'address-book': IconAddressBook, alert: IconAlertTriangle, archive: IconArchive,
  'arrow-back': IconArrowBackUp, ban: IconBan, barcode: IconBarcode, bell: IconBell, bolt: IconBolt, book: IconBook,
  box: IconBox, briefcase: IconBriefcase, store: IconBuildingStore, warehouse: IconBuildingWarehouse,
  calendar: IconCalendar, cash: IconCash, chart: IconChartBar, checklist: IconChecklist, check: IconCircleCheck,
  clipboard: IconClipboardList, clock: IconClock, cloud: IconCloud, coin: IconCoin, 'credit-card': IconCreditCard,
  database: IconDatabase, file: IconFile, flag: IconFlag, folder: IconFolder, gift: IconGift, heart: IconHeart,
  home: IconHome, inbox: IconInbox, key: IconKey, layout: IconLayout, board: IconLayoutKanban,
  lifebuoy: IconLifebuoy, list: IconList, lock: IconLock, mail: IconMail, map: IconMap, message: IconMessage,
  notes: IconNotes, package: IconPackage, percentage: IconPercentage, play: IconPlayerPlay, receipt: IconReceipt,
  refund: IconReceiptRefund, refresh: IconRefresh, route: IconRoute, scale: IconScale, send: IconSend,
  settings: IconSettings, shield: IconShield, cart: IconShoppingCart, flow: IconSitemap, stack: IconStack2,
  star: IconStar, table: IconTable, tag: IconTag, tool: IconTool, transfer: IconTransfer, truck: IconTruck,
  delivery: IconTruckDelivery, user: IconUser, users: IconUsers,
}; // prettier-ignore

export function Icon({ name, fallback = 'file', size = 17 }: { name?: string; fallback?: string; size?: number }) {
  const Drawing = ICONS[name ?? fallback] ?? ICONS[fallback] ?? IconFile;
  return <Drawing size={size} stroke={1.6} aria-hidden />;
}
