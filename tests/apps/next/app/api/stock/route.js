export const dynamic = "force-dynamic";

export async function GET() {
  try {
    if (process.env.SHOP_BREAKS === "swallowed") throw new Error("no stock");
    if (process.env.SHOP_BREAKS === "outside") await fetch("https://stock.shop.example/count");
    return Response.json({});
  } catch {
    return Response.json({}, { status: 500 });
  }
}
