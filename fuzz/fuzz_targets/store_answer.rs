#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bigin_photo_proxy_fuzz::store_answer(data));
