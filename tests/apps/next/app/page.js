import Cart from "./cart";

export const dynamic = "force-dynamic";

export default function Page() {
  return <Cart now={Date.now()} />;
}
